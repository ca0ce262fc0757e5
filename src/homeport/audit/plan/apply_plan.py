"""A plan file applied to the files below a directory: shown, or made."""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.audit.own_files import BadFile
from homeport.audit.plan.applying import Change, prepare, write
from homeport.audit.plan.planfile import read_plan


class PlanApplied(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a plan; ``written`` is false while they are only shown."""

    changes: tuple[Change, ...]
    written: bool

    @property
    def edits(self) -> int:
        """The number of edits in all files."""
        return sum(len(change.edits) for change in self.changes)


def apply_plan(file: Path, root: Path, *, make_edits: bool = False) -> PlanApplied:
    """Make and prove every edit in memory; write the files if ``make_edits``.

    Raises ``BadFile``, and what ``prepare`` and ``write`` raise.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        where = {"file": str(file)}
        raise BadFile(f"cannot read the plan: {error.strerror}", where=where) from error
    changes = prepare(read_plan(data, str(file)), root)
    if make_edits:
        write(changes, root)
    return PlanApplied(changes=tuple(changes), written=make_edits)
