"""A plan file applied to the files of a tree: shown, or made.

The plan says what becomes of each image; the edits are made from that, anew, by the readers that
found the images. So a plan whose actions, references or places a person changed is what is done.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.audit.auditing import AuditRequest, AuditResult, audit, plan
from homeport.audit.implicit import parse_assumptions
from homeport.audit.plan.applying import Change, check_files, prepare, write
from homeport.audit.plan.planfile import Plan, read_plan_file
from homeport.errors import HomeportError


class PlanApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a plan; ``written`` is false while they are only shown.

    already:  the files hold what the plan gives them; there is nothing to change
    """

    changes: tuple[Change, ...]
    written: bool
    already: bool = False

    @property
    def edits(self) -> int:
        """The number of edits in all files."""
        return sum(len(change.edits) for change in self.changes)


def apply_plan(file: Path, root: Path, *, make_edits: bool = False) -> PlanApplied:
    """Make and prove every edit in memory; write the files if ``make_edits``.

    Raises ``BadFile``, and what ``check_files``, ``prepare`` and ``write`` raise.
    """
    decisions = read_plan_file(file)
    request = AuditRequest(
        paths=decisions.audited.paths or ["."], root=root, home=decisions.home,
        exclude=decisions.audited.exclude,
        assumptions=parse_assumptions(decisions.audited.assume),
    )  # fmt: skip
    try:
        check_files(decisions, root)
    except HomeportError:
        if _is_applied(decisions, audit(request)):
            return PlanApplied(changes=(), written=False, already=True)
        raise
    if not decisions.files:
        return PlanApplied(changes=(), written=False)
    audited = audit(request)
    changes = prepare(plan(audited, request, decisions, only_places=True), root)
    if make_edits:
        write(changes, root)
    return PlanApplied(changes=tuple(changes), written=make_edits)


def _is_applied(decisions: Plan, audited: AuditResult) -> bool:
    """Whether every place that the plan edits names the reference at home already."""
    now = {
        (use.place.file, use.key, image.name) for image in audited.report.images
        for use in image.uses
    }  # fmt: skip
    wanted = {
        (place.file, place.key, image.home) for image in decisions.images
        if image.home and image.action in ("import", "build")
        for place in image.places
        if not place.setting and not place.rule and not place.note.startswith("for ")
    }  # fmt: skip
    files = {file.path for file in decisions.files}
    wanted = {row for row in wanted if row[0] in files}
    return bool(wanted) and wanted <= now
