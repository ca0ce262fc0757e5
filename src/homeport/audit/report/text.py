"""A report as people read it on a terminal: a table of images, then what needs a word.

Values come from audited files, which may belong to a stranger: each goes through ``printable``,
so that only the templates here contain line breaks (a CI system reads ``::error::`` lines).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from homeport.audit.assessment import Image, Report
from homeport.audit.model import LEVELS, Use
from homeport.audit.plan.planfile import Plan
from homeport.audit.policy import Violation
from homeport.printable import printable

_PLACES = 3
#: Images that are listed without ``--all``; from how many on they are counted, and registries.
_WORST = 20
_COUNTED = 5
_REGISTRIES = 5


def report_text(report: Report, *, everything: bool = False) -> str:
    """The table, the faults and a closing line; uncertain and internal images on demand."""
    shown = [image for image in report.images if everything or _is_shown(image)]
    unresolved = [use for image in shown for use in image.uses if use.problem and not use.internal]
    # What is not resolved is listed once, below.
    named = sorted((i for i in shown if everything or not _is_unresolved(i)), key=_worst_first)
    listed = named if everything else named[:_WORST]
    blocks = []
    if listed:
        blocks.append(_table(listed))
    if len(named) > len(listed):
        more = _count(len(named) - len(listed), "image")
        blocks.append(f"The {_WORST} worst are listed; --all lists {more} more.")
    if len(named) >= _COUNTED:
        blocks.append(_counts(report))
    if unresolved:
        lines = [
            f"  {_place(use)}  {printable(use.expression)}: {printable(use.problem)}"
            for use in unresolved
        ]
        blocks.append("Not resolved:\n" + "\n".join(lines))
    if report.external:
        lines = [
            f"  {printable(f'{e.place.file}:{e.place.line} {e.key}  {e.what}: {e.hint}')}"
            for e in report.external
        ]
        blocks.append("Outside the audited files, not read:\n" + "\n".join(lines))
    for count in report.pulls:
        pulls = _count(count.pulls, "anonymous pull")
        blocks.append(
            f"{printable(count.registry)}: one run of every pipeline makes {pulls}; "
            f"the limit of {count.limit} in {count.hours} hours allows {count.runs} runs"
        )
    if report.mirrors:
        lines = [
            f"  {printable(f'{m.place.file}:{m.place.line}  {m.engine}: ')}"
            f"{printable(m.registry or 'short names')} -> {printable(m.to)}"
            for m in report.mirrors
        ]
        blocks.append("Mirrors in settings:\n" + "\n".join(lines))
    if report.unread:
        lines = [
            f"  {printable(u.file)}{f':{u.line}' if u.line else ''}: {printable(u.what)}"
            for u in report.unread
        ]
        blocks.append("Files that could not be read:\n" + "\n".join(lines))
    blocks.append(_closing(report, len(report.images) - len(shown)))
    return "\n\n".join(blocks)


def _is_shown(image: Image) -> bool:
    return not image.internal and image.confidence != "low"


def _is_unresolved(image: Image) -> bool:
    return all(use.problem for use in image.uses)


def _worst_first(image: Image) -> tuple[int, str]:
    return LEVELS.index(image.level), image.name


def _counts(report: Report) -> str:
    """Foreign images by level and by registry, the largest first."""
    foreign = [image for image in report.foreign if _is_shown(image)]
    levels = Counter(image.level for image in foreign)
    registries = Counter(i.reference.registry for i in foreign if i.reference is not None)
    by_level = ", ".join(f"{levels[level]} {level}" for level in LEVELS if levels[level])
    by_registry = ", ".join(f"{printable(n)} {c}" for n, c in registries.most_common(_REGISTRIES))
    rest = len(registries) - _REGISTRIES
    more = f", {_count(rest, 'other registry', 'other registries')}" if rest > 0 else ""
    return f"By level: {by_level}\nBy registry: {by_registry}{more}"


def _closing(report: Report, hidden: int) -> str:
    foreign = [image for image in report.foreign if _is_shown(image)]
    text = _count(len(foreign), "foreign image")
    if implicit := sum(1 for image in foreign if not image.explicit):
        text += f", {implicit} of them implicit"
    text += f"; read {report.read} of {_count(report.files, 'file')}"
    hint = f"; --all also lists {_count(hidden, 'image')} of your own or of uncertain uses"
    return text + (hint if hidden else "")


def _table(images: list[Image]) -> str:
    rows = []
    for image in images:
        where = [_place(use) for use in image.uses[:_PLACES]]
        if len(image.uses) > _PLACES:
            where.append(f"and {len(image.uses) - _PLACES} more")
        name = printable(image.reference.familiar if image.reference else image.name)
        risks = "; ".join(risk.brief for risk in image.risks if risk.id != "foreign")
        rows.append((image.level.upper(), name, printable(risks or image.internal), where))
    widths = [max(len(str(row[n])) for row in rows) for n in range(2)]
    lines = []
    for *cells, risks, where in rows:
        line = "  ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{line}  {risks}".rstrip())
        lines.extend(f"{' ' * (widths[0] + 2)}  {place}" for place in where)
    return "\n".join(lines)


def _place(use: Use) -> str:
    return printable(f"{use.place.file}:{use.place.line} {use.key}")


def plan_text(plan: Plan, path: str) -> str:
    """What a plan holds, and what comes next."""
    actions = Counter(image.action for image in plan.images)
    counts = ", ".join(f"{action} {count}" for action, count in sorted(actions.items()))
    edits = sum(len(place.every_edit) for image in plan.images for place in image.places)
    where = f"{_count(edits, 'edit')} in {_count(len(plan.files), 'file')}"
    lines = [f"Plan {path}: {counts or 'nothing to do'}; {where}"]
    if plan.mirror:
        lines.append(f"  homeport mirror --file {path}")
    if edits:
        lines.append(f"  homeport audit --apply {path}")
    return "\n".join(lines)


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number} {what if number == 1 else several or what + 's'}"


def violations_text(violations: Sequence[Violation]) -> str:
    """What the policy does not allow, a line each."""
    lines = [
        f"  {_place(v.result.use)}  {printable(v.result.image.name)}: {printable(v.why)}"
        f" ({v.result.id})"
        for v in violations
    ]
    return "Violations of the policy:\n" + "\n".join(lines)
