"""A report as people read it on a terminal: groups of images, then what needs a word.

Values come from audited files, which may belong to a stranger: each goes through ``printable``,
so that only the templates here contain line breaks (a CI system reads ``::error::`` lines).
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

import msgspec

from homeport.audit.assessment import Image, Report
from homeport.audit.model import LEVELS
from homeport.audit.plan.planfile import Plan
from homeport.audit.policy import Violation
from homeport.audit.report.listing import (
    Grouping,
    Paint,
    is_certain,
    listing,
    place_text,
    plain,
    worst_first,
)
from homeport.audit.trees import TREES, Tree
from homeport.fitting import wrapped
from homeport.printable import printable, shell_path

#: Images that are listed without ``--all``; from how many on they are counted, and registries.
_WORST = 20
_COUNTED = 5
_REGISTRIES = 5


_NO_FILE = (
    "Next: name a directory with Dockerfiles, compose files, charts or CI files:\n"
    "homeport audit DIRECTORY"
)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is listed, and how.

    everything: all images, not the worst; uncertain uses and your own, too
    include:    trees whose images are listed with the others
    by:         what makes a group
    width:      of the terminal; ``None``: lines may be of any length
    online:     registries were queried
    home:       the registry and path of your own images, if it was given
    next_step:  the last line is the command that comes next
    paint:      writes a text in a style, for terminals with colours
    """

    everything: bool = False
    include: frozenset[Tree] = frozenset()
    by: Grouping = "action"
    width: int | None = None
    online: bool = False
    home: str = ""
    next_step: bool = True
    paint: Paint = plain

    def shows(self, image: Image) -> bool:
        """Whether an image is listed, or counted only."""
        return self.everything or (is_certain(image) and not self.is_apart(image))

    def is_apart(self, image: Image) -> bool:
        """Whether only tests, examples, documentation or vendored code use it."""
        return bool(image.tree) and image.tree not in self.include


def report_text(report: Report, view: View) -> str:
    """Groups of images, the faults and a closing line."""
    shown = [image for image in report.images if view.shows(image)]
    unresolved = [use for image in shown for use in image.uses if use.problem and not use.internal]
    # What is not resolved is listed once, below.
    named = sorted((i for i in shown if not _is_unresolved(i)), key=worst_first)
    listed = named if view.everything else named[:_WORST]
    blocks = []
    if listed:
        blocks.append(listing(listed, view.by, view.width, view.paint))
    if len(named) > len(listed):
        more = _count(len(named) - len(listed), "image")
        blocks.append(f"The {_WORST} worst are listed; --all lists {more} more.")
    if len(named) >= _COUNTED:
        blocks.append(_counts(shown))
    if unresolved:
        lines = [
            f"  {place_text(use)}  {printable(use.expression)}: {printable(use.problem)}"
            for use in unresolved
        ]
        # A line of a file may name the same several times.
        blocks.append("Not resolved:\n" + "\n".join(dict.fromkeys(lines)))
    if view.online:
        blocks.append(_answers(report))
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
    blocks.append(_closing(report, view))
    first = 1 if listed else 0  # the list fits already
    blocks[first:] = [wrapped(block, view.width) for block in blocks[first:]]
    if view.next_step and (after := _next(report, listed, view)):
        blocks.append(after)
    return "\n\n".join(blocks)


def _next(report: Report, listed: Sequence[Image], view: View) -> str:
    """The command that comes next, with the reader's own registry or image in it; or ``""``."""
    if not report.read:
        return _NO_FILE
    foreign = next((image for image in listed if is_certain(image)), None)
    if foreign is None:
        return ""
    if view.home:
        return f"Next: homeport home {shlex.quote(printable(view.home))}"
    name = foreign.reference.familiar if foreign.reference else foreign.name
    return f"Next: homeport audit explain {shlex.quote(printable(name))}"


def _is_unresolved(image: Image) -> bool:
    return all(use.problem for use in image.uses)


def _counts(shown: Sequence[Image]) -> str:
    """Foreign images by level and by registry, the largest first."""
    foreign = [image for image in shown if is_certain(image)]
    levels = Counter(image.level for image in foreign)
    registries = Counter(i.reference.registry for i in foreign if i.reference is not None)
    by_level = ", ".join(f"{levels[level]} {level}" for level in LEVELS if levels[level])
    by_registry = ", ".join(f"{printable(n)} {c}" for n, c in registries.most_common(_REGISTRIES))
    rest = len(registries) - _REGISTRIES
    more = f", {_count(rest, 'other registry', 'other registries')}" if rest > 0 else ""
    return f"By level: {by_level}\nBy registry: {by_registry}{more}"


def _answers(report: Report) -> str:
    """How many images the registries were queried for, and why some could not be."""
    asked = [image for image in report.images if image.lookup is not None]
    failed = [i for i in asked if i.lookup and i.lookup.problem and not i.lookup.gone]
    text = f"Registries answered for {len(asked) - len(failed)} of {_count(len(asked), 'image')}"
    reasons = Counter(
        (i.reference.registry if i.reference else "", i.lookup.problem if i.lookup else "")
        for i in failed
    )
    lines = [
        f"  {printable(registry)}: {_count(count, 'image')}: {printable(why)}"
        for (registry, why), count in reasons.most_common()
    ]
    return "\n".join([text + (". The others:" if lines else ""), *lines])


def _closing(report: Report, view: View) -> str:
    certain = [image for image in report.images if is_certain(image)]
    foreign = [image for image in certain if not view.is_apart(image)]
    files = {use.place.file for image in foreign for use in image.uses}
    text = _count(len(foreign), "foreign image")
    if implicit := sum(1 for image in foreign if not image.explicit):
        text += f", {implicit} of them implicit"
    text += f", in {len(files)} of {_count(report.read, 'file')} that may name images"
    if report.files > report.read:
        text += f" ({_count(report.files, 'file')} seen)"
    apart = Counter(image.tree for image in certain if view.is_apart(image))
    if apart:
        counts = ", ".join(f"{tree} {apart[tree]}" for tree in TREES if apart[tree])
        text += f"\nMore foreign images in trees apart: {counts}; --include lists them"
    hidden = len(report.images) - len(certain)
    if hidden and not view.everything:
        text += f"\n--all also lists {_count(hidden, 'image')} of your own or of uncertain uses"
    return text


def plan_text(plan: Plan, path: str, *, steps: bool = True) -> str:
    """What a plan holds, and the commands that come next."""
    actions = Counter(image.action for image in plan.images)
    counts = ", ".join(f"{action} {count}" for action, count in sorted(actions.items()))
    edits = sum(len(place.every_edit) for image in plan.images for place in image.places)
    where = f"{_count(edits, 'edit')} in {_count(len(plan.files), 'file')}"
    lines = [f"Plan {path}: {counts or 'nothing to do'}; {where}"]
    if plan.mirror and steps:
        lines.append(f"  homeport mirror --file {shell_path(path)}")
    if edits and steps:
        lines.append(f"  homeport audit --apply {shell_path(path)}")
    return "\n".join(lines)


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number} {what if number == 1 else several or what + 's'}"


def violations_text(violations: Sequence[Violation], width: int | None = None) -> str:
    """What the policy does not allow, a line each."""
    lines = [
        f"  {place_text(v.result.use)}  {printable(v.result.image.name)}: {printable(v.why)}"
        for v in violations
    ]
    return wrapped("Violations of the policy:\n" + "\n".join(lines), width)
