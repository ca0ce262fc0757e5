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
from homeport.fitting import end_of_path, wrapped
from homeport.printable import printable

Grouping = Literal["action", "registry", "file", "level"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_NARROWEST = 40
_DIGEST = 12
_INDENT = _GAP = "  "
_HEADER = ("LEVEL", "IMAGE", "PLACE", "WHY")
#: Columns to which name and place are shortened, the second if those before are not enough;
#: reasons of up to so many have room beside them.
_LEAST = ((28, 22), (20, 16))
_REASON = 20
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
    every = [line for lines in groups.values() for line in lines]
    widths = _widths(every, width)
    blocks = []
    for heading, lines in groups.items():
        shown = [_shown(line, widths, paint) for line in lines]
        title = wrapped(printable(heading), width, hanging=0)
        blocks.append("\n".join([paint(title, "title"), *shown]))
    if blocks:
        header = _header(widths, reasons=any(line.details for line in every))
        blocks[0] = paint(header, "title") + "\n" + blocks[0]
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


class _Widths(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of the level, the name and the place, and what a line may have."""

    level: int
    name: int
    place: int
    line: int | None


def _widths(lines: Sequence[Line], width: int | None) -> _Widths:
    """Name and place give up room, the wider first, so that a short reason fits beside them."""
    level = max([len(_HEADER[0]), *(len(line.level) for line in lines)])
    name = max([len(_HEADER[1]), *(len(_name(line, width)) for line in lines)])
    place = max([len(_HEADER[2]), *(len(_place(line, None)) for line in lines)])
    if width is None:
        return _Widths(level=level, name=min(name, _PADDED), place=place, line=None)
    width = max(width, _NARROWEST)
    reasons = [len(_brief(line.details[0])) for line in lines if line.details]
    reason = max((size for size in reasons if size <= _REASON), default=0)
    room = width - len(_INDENT) - level - 2 * len(_GAP) - (len(_GAP) + reason if reason else 0)
    for least_name, least_place in _LEAST:
        while name + place > room and (name > least_name or place > least_place):
            if name > least_name and (name >= place or place <= least_place):
                name -= 1
            else:
                place -= 1
    # Parts of paths are shown whole, so that less than the room is taken.
    name = max([len(_HEADER[1]), *(len(_short_name(line, name)) for line in lines)])
    place = max([len(_HEADER[2]), *(len(_place(line, place)) for line in lines)])
    return _Widths(level=level, name=name, place=place, line=width)


def _header(widths: _Widths, *, reasons: bool) -> str:
    level, name, place, reason = _HEADER
    cells = [level.ljust(widths.level), name.ljust(widths.name), place.ljust(widths.place)]
    return _INDENT + _GAP.join([*cells, *([reason] if reasons else [])]).rstrip()


def _shown(line: Line, widths: _Widths, paint: Paint) -> str:
    limited = widths.line is not None
    cells = [
        line.level.ljust(widths.level),
        (_short_name(line, widths.name) if limited else _name(line, None)).ljust(widths.name),
        _place(line, widths.place if limited else None).ljust(widths.place),
    ]
    text = _INDENT + _GAP.join(cells)
    for number, detail in enumerate(line.details):
        before = _GAP if not number else "; "
        joined = before + printable(detail)
        if widths.line is not None and len(text) + len(joined) > widths.line:
            joined = before + printable(_brief(detail))
            if len(text) + len(joined) > widths.line:
                break
        text += joined
    level = len(_INDENT) + len(line.level)
    return f"{_INDENT}{paint(line.level, line.level.lower())}{text[level:].rstrip()}"


def _name(line: Line, width: int | None) -> str:
    """The image; with a width, its digest is shortened."""
    name = printable(line.name)
    before, at, digest = name.partition("@sha256:")
    return f"{before}{at}{digest[:_DIGEST]}" if width is not None else name


def _short_name(line: Line, width: int) -> str:
    """The image in so many columns: of its parts the name and the tag are kept longest."""
    name = _name(line, width)
    before, at, _ = name.partition("@sha256:")
    shown = end_of_path(name, width)
    if at and shown != name and not shown.startswith("…/"):
        return end_of_path(f"{before}@…", width)
    return shown


def _brief(detail: str) -> str:
    """A detail for a narrow terminal."""
    return detail.replace("end of life", "EOL", 1)


def _place(line: Line, width: int | None) -> str:
    more = f" +{line.more}" if line.more else ""
    place = printable(line.place)
    return end_of_path(place, None if width is None else width - len(more)) + more
