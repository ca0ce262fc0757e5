"""A report as a list of results: one for each use to look at.

Reports for other programs (SARIF, Code Quality) and the baseline are made of these. Every
result has an identity that outlives moved lines and new tags.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from homeport.audit.assessment import Image, Report, Risk
from homeport.audit.model import LEVELS, Level, Use


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a foreign or risky image.

    id:           what is wrong first of all; each has a page in docs/findings
    fingerprint:  the same for the same use of the same repository, wherever it moves
    """

    id: str
    level: Level
    text: str
    image: Image
    use: Use
    fingerprint: str
    known: bool = False


def results(report: Report, known: Iterable[str] = ()) -> Iterator[Result]:
    """Every use worth a result, in order of files. ``known``: fingerprints of a baseline."""
    baseline = frozenset(known)
    seen: Counter[str] = Counter()
    pairs = [(use, image) for image in report.images for use in image.uses]
    for use, image in sorted(pairs, key=lambda pair: (pair[0].place, pair[0].rule, pair[0].value)):
        if use.internal or use.via or not image.risks:
            continue
        risk = _first(image.risks)
        identity = "\0".join((use.place.file, use.kind, _repository(image), use.key, use.rule))
        seen[identity] += 1
        counted = f"{identity}\0{seen[identity]}".encode("utf-8", "backslashreplace")
        digest = hashlib.sha256(counted).hexdigest()[:32]
        yield Result(
            id=use.rule or risk.id, level=_softened(risk.level, use), text=_text(image, use),
            image=image, use=use, fingerprint=digest, known=digest in baseline,
        )  # fmt: skip


def _first(risks: tuple[Risk, ...]) -> Risk:
    return min(risks, key=lambda risk: LEVELS.index(risk.level))


def _repository(image: Image) -> str:
    return image.reference.name if image.reference else image.name


def _softened(level: Level, use: Use) -> Level:
    return "low" if use.confidence == "low" or use.tree else level


def _text(image: Image, use: Use) -> str:
    name = image.reference.familiar if image.reference else image.name
    why = "; ".join(risk.text for risk in image.risks)
    lead = f"{name} is pulled here implicitly: {use.note}. " if use.rule else f"{name}: "
    return lead + why
