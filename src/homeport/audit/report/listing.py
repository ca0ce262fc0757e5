"""The images of a report as lines, one each, in groups: by what to do, registry, file or level.

Values come from audited files, which may belong to a stranger: each goes through ``printable``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

import msgspec

from homeport.audit.assessment import Image, Lookup, Risk
from homeport.audit.findings import FINDINGS
from homeport.audit.model import LEVELS, Use
from homeport.printable import printable

Grouping = Literal["action", "registry", "file", "level"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_NARROWEST = 40
_DIGEST = 12
#: Shares of the width that the name of an image and its place may take, in percent.
_NAME, _PLACE = 42, 30
#: Longer names do not push the next column away where lines may have any length.
_PADDED = 48
#: What the heading, the registry or the line itself says already.
SAID_ELSEWHERE = frozenset(("foreign", "rate-limited"))


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One image, or one place of it."""

    level: str
    name: str
    place: str
    more: int
    details: tuple[str, ...]


#: Writes a text in a style: a level, or ``title``.
Paint = Callable[[str, str], str]


def plain(text: str, style: str) -> str:
    """The text without any style."""
    return text


def listing(
    images: Sequence[Image], by: Grouping, width: int | None = None, paint: Paint = plain
) -> str:
    """The images, the worst first in each group. ``width``: no line is longer; ``None``: any."""
    groups: dict[str, list[Line]] = defaultdict(list)
    for heading, line in _GROUPS[by](sorted(images, key=worst_first)):
        groups[heading].append(line)
    widths = _widths([line for lines in groups.values() for line in lines], width)
    blocks = []
    for heading, lines in groups.items():
        shown = [_shown(line, widths, width, paint) for line in lines]
        blocks.append("\n".join([paint(_cut(heading, width), "title"), *shown]))
    return "\n\n".join(blocks)


def is_certain(image: Image) -> bool:
    """Whether it is of others, and more than a word of a command names it."""
    return image.foreign and image.confidence != "low"


def worst_first(image: Image) -> tuple[int, int, str]:
    """The order of images in lists."""
    risk = first_risk(image)
    return LEVELS.index(image.level), _urgency(risk) if risk is not None else 0, image.name


#: Of several risks of one level, the first of these says what to do.
_FIRST = ("gone", "end-of-life", "implicit", "moved-tag", "unresolved", "floating")


def _urgency(risk: Risk) -> int:
    return _FIRST.index(risk.id) if risk.id in _FIRST else len(_FIRST)


def first_risk(image: Image) -> Risk | None:
    """The risk that says what to do first."""
    return min(
        image.risks, key=lambda risk: (LEVELS.index(risk.level), _urgency(risk)), default=None
    )


def place_text(use: Use) -> str:
    """Where a use is, with its key."""
    return printable(f"{use.place.file}:{use.place.line} {use.key}")


def to_do(image: Image) -> str:
    """What to do first about an image, with the finding's id."""
    risk = first_risk(image)
    if risk is None:
        return "Your own images" if image.home or image.internal else "Nothing to do"
    return f"{heading_of(image)} ({risk.id})"


def heading_of(image: Image) -> str:
    """What to do first about an image; empty if nothing is."""
    risk = first_risk(image)
    if risk is None:
        return ""
    finding = FINDINGS.get(risk.id)
    return finding.to_do if finding is not None else "Remove what names it: nothing needs it"


def _by_action(images: Iterable[Image]) -> Iterable[tuple[str, Line]]:
    for image in images:
        risk = first_risk(image)
        line = _line(image, risk.id if risk is not None and risk.id in _PLAIN else "")
        if risk is not None and risk.id == "end-of-life":
            details = (line.details[0].removeprefix("end of life "), *line.details[1:])
            line = msgspec.structs.replace(line, details=details)
        yield to_do(image), line


#: Findings whose line says no more than the heading.
_PLAIN = frozenset(("floating", "fixed-by-convention", "unresolved", "gone", "moved-tag",
                    "one-platform"))  # fmt: skip


def _by_registry(images: Iterable[Image]) -> Iterable[tuple[str, Line]]:
    for image in sorted(images, key=_registry):
        yield _registry(image), _line(image)


def _registry(image: Image) -> str:
    return image.reference.registry if image.reference is not None else "not resolved"


def _by_level(images: Iterable[Image]) -> Iterable[tuple[str, Line]]:
    for image in images:
        yield image.level, _line(image)


def _by_file(images: Iterable[Image]) -> Iterable[tuple[str, Line]]:
    found = [(use.place, image) for image in images for use in image.uses]
    for place, image in sorted(found, key=lambda pair: pair[0]):
        line = msgspec.structs.replace(_line(image), place=f"line {place.line}", more=0)
        yield place.file, line


_GROUPS: dict[Grouping, Callable[[Iterable[Image]], Iterable[tuple[str, Line]]]] = {
    "action": _by_action,
    "registry": _by_registry,
    "level": _by_level,
    "file": _by_file,
}


def _line(image: Image, said: str = "") -> Line:
    left_out = SAID_ELSEWHERE | {said}
    details = [risk.brief for risk in image.risks if risk.id not in left_out]
    if image.internal:
        details.append(image.internal)
    if image.lookup is not None:
        details += _answer(image.lookup)
    use = image.uses[0]
    return Line(
        level=image.level.upper(),
        name=image.reference.familiar if image.reference else image.name,
        place=f"{use.place.file}:{use.place.line}",
        more=len({(u.place.file, u.place.line) for u in image.uses}) - 1,
        details=tuple(details),
    )


def _answer(lookup: Lookup) -> Iterable[str]:
    """What a registry told (``--online``)."""
    if lookup.digest:
        yield lookup.digest[: len("sha256:") + _DIGEST]
    if lookup.created:
        yield lookup.created[:10]
    if (count := len(lookup.platforms)) > 1:
        yield f"{count} platforms"
    elif count:
        yield lookup.platforms[0]
    if lookup.problem and not lookup.gone:
        yield lookup.problem


def _widths(lines: Sequence[Line], width: int | None) -> tuple[int, int, int]:
    """Columns of the level, the name and the place."""
    level = max((len(line.level) for line in lines), default=0)
    name = min(max((len(_name(line, None)) for line in lines), default=0), _PADDED)
    place = max((len(_place(line, None)) for line in lines), default=0)
    if width is not None:
        room = max(width, _NARROWEST)
        name = min(max((len(_name(line, room)) for line in lines), default=0), room * _NAME // 100)
        place = min(place, room * _PLACE // 100)
    return level, name, place


def _shown(line: Line, widths: tuple[int, int, int], width: int | None, paint: Paint) -> str:
    level, name, place = widths
    limit = None if width is None else name
    cells = [
        line.level.ljust(level),
        _from_the_left(_name(line, limit), limit).ljust(name),
        _place(line, None if width is None else place).ljust(place),
    ]
    text = "  " + "  ".join(cells)
    for number, detail in enumerate(line.details):
        joined = ("  " if not number else "; ") + printable(detail)
        if width is not None and len(text) + len(joined) > max(width, _NARROWEST):
            break
        text += joined
    written, after = text[: 2 + len(line.level)], text[2 + len(line.level) :]
    return f"  {paint(written[2:], line.level.lower())}{after.rstrip()}"


def _name(line: Line, width: int | None) -> str:
    """The image; with a width, its digest is shortened."""
    name = printable(line.name)
    before, at, digest = name.partition("@sha256:")
    return f"{before}{at}{digest[:_DIGEST]}" if width is not None else name


def _place(line: Line, width: int | None) -> str:
    more = f" +{line.more}" if line.more else ""
    place = printable(line.place)
    return _from_the_left(place, None if width is None else width - len(more)) + more


def _from_the_left(text: str, width: int | None) -> str:
    """The end of a path or name, which tells most; cut where a part begins if possible."""
    if width is None or len(text) <= width:
        return text
    kept = text[-(width - 1) :]
    slash = kept.find("/")
    return "…" + (kept[slash:] if 0 <= slash < len(kept) // 2 else kept)


def _cut(text: str, width: int | None) -> str:
    text = printable(text)
    return text if width is None or len(text) <= width else f"{text[: width - 1]}…"
