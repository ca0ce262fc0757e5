"""The images that a home plan lists, as pairs for ``homeport mirror``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from homeport.audit.plan.planfile import Pair, pairs_of, read_plan_file
from homeport.errors import UsageError
from homeport.images.mirror import MirrorPair
from homeport.images.mirror_pairs import pair_of
from homeport.oci.platform import Platform, parse_platforms


def planned_pairs(
    file: Path, *, platforms: Sequence[Platform] | None = None, referrers: bool = False
) -> list[MirrorPair]:
    """Every pair of the plan; errors name its entry.

    platforms, referrers: instead of, or in addition to, those of the plan
    """
    pairs = []
    plan = read_plan_file(file)
    for entry in pairs_of(plan):
        try:
            pairs.append(_pair(entry, platforms, referrers))
        except UsageError as error:
            listed = plan.mirror.index(entry) if entry in plan.mirror else None
            field = "images" if listed is None else f"mirror[{listed}]"
            raise error.at(file=str(file), field=field)  # noqa: B904
    return pairs


def _pair(entry: Pair, platforms: Sequence[Platform] | None, referrers: bool) -> MirrorPair:
    planned = None if entry.platforms == "all" else parse_platforms(entry.platforms)
    return pair_of(
        entry.source, entry.destination, platforms or planned, referrers or entry.referrers
    )
