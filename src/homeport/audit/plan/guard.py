"""What an audit finds after a plan's edits, against what the plan promises.

The edits are made in memory and the same readers read the result. Every edited place must resolve
to exactly the reference that the plan gives it; every other place must resolve as before (or to
its own home, where one value feeds several places). A place is known by its file, kind, key and
rule and by its number among those that share them, which edits do not change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from homeport.audit.model import Use


class Spot(msgspec.Struct, frozen=True, order=True):
    """A place that images are named at, before and after edits."""

    file: str
    kind: str
    key: str
    rule: str
    number: int


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan says about one use.

    image:   the reference now, or the expression when there is none
    home:    the reference that it is to become, ``""`` for none
    edited:  whether the plan edits this place, or what flows into it
    """

    image: str
    home: str = ""
    edited: bool = False


def spots(uses: Iterable[Use]) -> dict[Spot, list[Use]]:
    """Uses by their places, in order of the files."""
    numbers: dict[tuple[str, str, str, str], dict[int, int]] = defaultdict(dict)
    found: dict[Spot, list[Use]] = defaultdict(list)
    for use in sorted(uses, key=lambda use: (use.place, use.rule, use.value)):
        # A service of GitLab may become a map with a name.
        key = use.key.removesuffix(".name") if use.kind == "gitlab" else use.key
        group = (use.place.file, use.kind, key, use.rule)
        number = numbers[group].setdefault(use.place.start, len(numbers[group]))
        found[Spot(*group, number)].append(use)
    return found


def broken(
    promises: Mapping[Spot, list[Promise]], after: Mapping[Spot, list[Use]], home: str
) -> dict[Spot, str]:
    """Places where the promise is not kept, and how.

    home: registry and path of your own images; new uses below it are settings that were added
    """
    wrong: dict[Spot, str] = {}
    for spot, made in promises.items():
        found = [use.image for use in after.get(spot, ())]
        for promise in made:
            if what := _broken(spot, promise, found):
                wrong[spot] = what
    for spot, uses in after.items():
        for use in uses:
            if spot not in promises and not use.image.startswith(f"{home}/"):
                wrong[spot] = f"{use.image} would be named here, too"
    return wrong


def _broken(spot: Spot, promise: Promise, found: list[str]) -> str:
    if promise.edited:
        if promise.home in found or (spot.rule and not found):
            return ""
        now = ", ".join(found) or "nothing"
        return f"an edit would make this {now}, not {promise.home or 'nothing'}"
    if promise.image in found or (promise.home and promise.home in found):
        return ""
    if spot.rule and not found:
        return ""
    now = ", ".join(found) or "nothing"
    return f"an edit of another place would change {promise.image} to {now}"
