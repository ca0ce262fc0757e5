"""The places of a plan: each edit once, in its own file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from homeport.audit.model import Use
from homeport.audit.plan.editing import WayHome
from homeport.audit.plan.planfile import Edit, Plan, PlanPlace


def merged(places: Iterable[tuple[Use, WayHome]]) -> tuple[PlanPlace, ...]:
    """Places for the plan; an edit that several uses share is made once, in its own file."""
    made: set[tuple[str, int, int, str]] = set()
    found: list[PlanPlace] = []
    for use, way in places:
        by_file: dict[str, list[Edit]] = defaultdict(list)
        lines: dict[str, int] = {}
        for file_edit in way.edits:
            edit = file_edit.edit
            identity = (file_edit.file, edit.start, edit.end, edit.new)
            if identity not in made:
                made.add(identity)
                by_file[file_edit.file].append(edit)
                # The line of the use, or of the value elsewhere that it comes from.
                at = file_edit.line if file_edit.file != use.place.file else use.place.line
                lines.setdefault(file_edit.file, at)
        for file, edits in by_file.items() or [(use.place.file, [])]:
            found.append(
                PlanPlace(
                    file=file, line=lines.get(file, use.place.line), key=use.key, rule=use.rule,
                    edit=edits[0] if len(edits) == 1 else None,
                    edits=tuple(edits) if len(edits) > 1 else (),
                    setting=way.setting, note=way.note or _elsewhere(use, file),
                )
            )  # fmt: skip
    return tuple(found)


def _elsewhere(use: Use, file: str) -> str:
    if file == use.place.file:
        return ""
    return f"for {use.key} in {use.place.file}, line {use.place.line}"


def bare(uses: Iterable[Use]) -> tuple[PlanPlace, ...]:
    """Places that stay as they are."""
    return tuple(
        PlanPlace(file=u.place.file, line=u.place.line, key=u.key, rule=u.rule) for u in uses
    )


def edits_of(plan: Plan) -> dict[str, list[Edit]]:
    """All edits of a plan by file, in order, each once."""
    found: dict[str, list[Edit]] = defaultdict(list)
    for image in plan.images:
        for place in image.places:
            found[place.file].extend(place.every_edit)
    return {
        file: sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end))
        for file, edits in found.items()
    }
