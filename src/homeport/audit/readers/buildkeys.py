"""Values that several build descriptions share: contexts, caches, attestations."""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.variables import Outcome
from homeport.audit.source import Written

_CONTEXT = "docker-image://"
_REF = re.compile(r"(?:^|,)\s*ref=([^,\s]+)")
_OFF = frozenset(("false", "0", "no", "off"))
_GENERATOR = re.compile(r"(?:^|,)\s*generator=([^,\s]+)")


def read_context(
    value: Written, found: Collector, key: str, outcome: Outcome | None = None
) -> None:
    """A named context; only ``docker-image://`` ones are images."""
    if not value.text.startswith(_CONTEXT):
        if outcome is None or not outcome.value.startswith(_CONTEXT):
            return
        found.image(value, key, problem="the whole context comes from a variable")
        return
    image = value.after(_CONTEXT)
    if outcome is not None:
        outcome = Outcome(
            value=outcome.value.removeprefix(_CONTEXT), problem=outcome.problem,
            feeds=outcome.feeds,
        )  # fmt: skip
    found.image(image, key, outcome=outcome)


def read_cache(value: Written, found: Collector, key: str) -> None:
    """A cache source: ``type=registry,ref=REF`` or a bare reference."""
    text = value.text.strip()
    if "=" not in text:
        found.image(value, key, confidence="medium", note="a build cache")
    elif "type=registry" in text and (match := _REF.search(value.text)):
        found.image(value.part(match.start(1), match.end(1)), key, confidence="medium",
                    note="a build cache")  # fmt: skip


def read_sbom(value: Written, found: Collector, key: str) -> None:
    """``build.sbom`` of Compose, ``BUILDKIT_ATTEST_SBOM``: on, off, or options of the scanner."""
    if value.text.strip().lower() in _OFF:
        return
    if _GENERATOR.search(value.text):
        read_attest(value, found, key)
    else:
        found.cause("sbom", "buildkit", value, key=key, attributes={"value": value.text})


def read_attest(value: Written, found: Collector, key: str) -> None:
    """``type=sbom,generator=REF``; without a generator a rule knows the default."""
    if match := _GENERATOR.search(value.text):
        found.image(value.part(match.start(1), match.end(1)), key)
    elif "sbom" in value.text:
        found.cause("sbom", "buildkit", value, key=key, attributes={"value": value.text})
