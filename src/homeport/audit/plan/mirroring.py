"""The images that a home plan lists, as pairs for ``homeport mirror``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from homeport.audit.plan.planfile import Pair, read_plan_file
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
    for number, entry in enumerate(read_plan_file(file).mirror):
        try:
            pairs.append(_pair(entry, platforms, referrers))
        except UsageError as error:
            raise error.at(file=str(file), field=f"mirror[{number}]")  # noqa: B904
    return pairs


def _pair(entry: Pair, platforms: Sequence[Platform] | None, referrers: bool) -> MirrorPair:
    planned = None if entry.platforms == "all" else parse_platforms(entry.platforms)
    return pair_of(
        entry.source, entry.destination, platforms or planned, referrers or entry.referrers
    )
