"""Collects what a reader finds in one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from homeport.audit.model import (
    Cause,
    Confidence,
    ExternalConfig,
    Feed,
    Field,
    Insertion,
    Rewrite,
    Unread,
    Use,
)
from homeport.audit.reading.programs import ALWAYS, Programs
from homeport.audit.reading.variables import LONGEST
from homeport.audit.source import Source, Written
from homeport.budget import LimitExceeded
from homeport.oci.reference import BadReference, Reference, parse_reference

if TYPE_CHECKING:
    from homeport.audit.reading.variables import Outcome

_T = TypeVar("_T")

#: Marks of templates that no reader here evaluates.
_TEMPLATE = re.compile(
    r"\{\{|\}\}|\$\(|\$\{|\$\[\[|<<|>>|<%|@[A-Za-z_]+@|\$[A-Za-z_]|%[A-Z_]+%|\{%"
)
#: Registries that only this machine can mean.
#: A digest without a name: the pin of an image that is named elsewhere, or an id of an engine.
_ID = re.compile(r"sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})")
#: An import path of Go, which ko replaces by the image that it builds.
_KO = "ko://"
_LOCAL = re.compile(r"(?:localhost|127\.[0-9.]{1,12}|0\.0\.0\.0|\[::1?\])(?::[0-9]{1,5})?$")
_TOO_LONG = f"longer than {LONGEST} characters"
_BLANK = re.compile(r"\s")
#: The reason for such a mark.
FILLED_IN = "{} is filled in outside this file"

#: What one find costs until it is in every report, in steps of the file's budget.
_FIND = 250
#: What looking at one place costs that may name an image.
LOOK = 50


class Collector:
    """Uses, causes and faults of one file, in the order they were found."""

    def __init__(
        self, source: Source, kind: str, programs: Programs = ALWAYS, depth: int = 0
    ) -> None:
        self.source = source
        #: How many strings this text is inside of.
        self.depth = depth
        self.kind = kind
        #: Programs whose commands are read in shell text.
        self.programs = programs
        self.uses: list[Use] = []
        self.causes: list[Cause] = []
        self.unread: list[Unread] = []
        #: Images that are built here (name and tag, ``""`` for any), and the key that builds them.
        self.produced: dict[tuple[str, str], str] = {}
        #: Named contexts of builds in commands, by the directory or Dockerfile that is built.
        self.contexts: list[tuple[str, tuple[str, ...]]] = []
        #: Other files that this one names, whatever they are called, and their kinds.
        self.named: list[tuple[str, str]] = []
        self.external: list[ExternalConfig] = []
        self._seen: set[tuple[int, int, str, str]] = set()

    def image(
        self,
        written: Written,
        key: str,
        *,
        confidence: Confidence = "high",
        outcome: Outcome | None = None,
        fields: Mapping[str, Field] | None = None,
        note: str = "",
        problem: str = "",
        value: str | None = None,
        internal: str = "",
        via: str = "",
        rewrite: Rewrite | None = None,
    ) -> None:
        """An image reference. One of high confidence is reported even when it does not parse."""
        if outcome is not None:
            value, problem = outcome.value, problem or outcome.problem
        feeds: tuple[Feed, ...] = outcome.feeds if outcome else ()
        value = written.text.strip() if value is None else value
        if not written.text.strip() or (not value and not problem):
            return
        if value[:3] == "sha" and _ID.fullmatch(value):
            if confidence == "low":
                return  # the digest of an image that is named elsewhere
            internal = internal or "an image of this engine, by its id"
            problem = problem or "an id names no registry"
        reference: Reference | None = None
        if not problem:
            reference, problem = read(value) if len(value) <= LONGEST else (None, _TOO_LONG)
            if reference is None and confidence != "high" and problem is not _TOO_LONG:
                return
        if reference is not None and _LOCAL.match(reference.registry):
            internal = internal or "a registry on this machine"
        elif reference is None and value.startswith(_KO):
            internal = internal or "ko builds it from source"
        self.add(
            Use(
                kind=self.kind, key=key, place=written.place, expression=written.text[:LONGEST],
                value=value[:LONGEST], reference=reference, confidence=confidence,
                problem=problem, exact=written.exact,
                quoting=written.quoting, feeds=feeds, fields=fields or {}, note=note,
                internal=internal, via=via, rewrite=rewrite,
            )
        )  # fmt: skip

    def add(self, use: Use) -> None:
        """A use that is whole already; the same one twice counts once."""
        identity = (use.place.start, use.place.end, use.value, use.problem)
        if identity not in self._seen and self.affords(_FIND):
            self._seen.add(identity)
            self.uses.append(use)

    def absorb(self, other: Collector) -> None:
        """What another reader found in the same file."""
        for use in other.uses:
            self.add(use)
        self.causes += other.causes
        self.unread += [unread for unread in other.unread if unread not in self.unread]
        self.named += other.named
        self.external += other.external
        self.contexts += other.contexts
        for name, key in other.produced.items():
            self.produced.setdefault(name, key)

    def cause(
        self,
        topic: str,
        name: str,
        written: Written,
        *,
        key: str = "",
        version: str = "",
        attributes: Mapping[str, str] | None = None,
        insertion: Insertion | None = None,
    ) -> None:
        """Something that may match a rule."""
        if not self.affords(_FIND):
            return
        self.causes.append(
            Cause(
                topic=topic, name=name, place=written.place, kind=self.kind, key=key,
                version=version, attributes=attributes or {},
                text=written.text if written.exact else "", insertion=insertion,
            )
        )  # fmt: skip

    def names_dockerfile(self, path: str) -> None:
        """The file at ``path`` is a Dockerfile."""
        self.named.append((path, "dockerfile"))

    def not_followed(self, written: Written, key: str, what: str, hint: str) -> None:
        """A part of the configuration outside the tree."""
        if self.affords(_FIND):
            self.external.append(ExternalConfig(place=written.place, key=key, what=what, hint=hint))

    def produces(self, name: str, key: str) -> None:
        """``name`` is built by this file, with its tag; with any if a variable gives the tag."""
        name = name.strip()
        colon = name.find(":", name.rfind("/") + 1)
        bare, tag = (name[:colon], name[colon + 1 :]) if colon >= 0 else (name, "latest")
        reference, _ = read(bare)
        if reference is not None and "@" not in name:
            any_tag = _TEMPLATE.search(tag) is not None
            self.produced.setdefault((reference.name, "" if any_tag else tag), key)

    def each(self, items: Iterable[_T], steps: int = LOOK) -> Iterator[_T]:
        """The items that the file's budget allows, ``steps`` for each."""
        for item in items:
            if not self.affords(steps):
                return
            yield item

    def affords(self, steps: int) -> bool:
        """Spend from the file's budget. Where it ends, that is a fault: the rest is not read."""
        try:
            self.source.budget.steps(steps)
        except LimitExceeded as error:
            self.exceeded(error)
            return False
        return True

    def exceeded(self, error: LimitExceeded) -> None:
        """The rest of the file is not read; reported once."""
        what = f"{error.what}; the rest is not read ({error.hint})"
        if not any(unread.what == what for unread in self.unread):
            self.fault(what)

    def fault(self, what: str, line: int = 0, column: int = 0) -> None:
        """This file, or the rest of it, could not be read."""
        self.unread.append(Unread(file=self.source.path, what=what, line=line, column=column))


def field(value: Written, key: str = "") -> Field:
    """A part of a reference that is a value of its own."""
    return Field(
        value=value.text, place=value.place, quoting=value.quoting, exact=value.exact, key=key
    )


def read(text: str) -> tuple[Reference | None, str]:
    """The reference that ``text`` is, or why it is none."""
    if found := _TEMPLATE.search(text):
        return None, FILLED_IN.format(repr(found.group()))
    if _BLANK.search(text):
        return None, "a blank in the reference"
    try:
        return parse_reference(text), ""
    except BadReference as error:
        return None, error.what.partition(": ")[2] or error.what
