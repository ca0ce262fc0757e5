"""Whether a lockfile matches its recipe, and if not, what differs."""

from __future__ import annotations

import msgspec

from homeport.errors import Faults
from homeport.recipe.lock.lock_request import (
    reached_slices,
    request_digest,
    used_definitions,
    wanted_slices,
)
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.slices.model import Slice, SliceName
from homeport.recipe.slices.reading import SliceFolders


def stale_reasons(recipe: Recipe, lockfile: Lockfile) -> tuple[str, ...]:
    """The differences between recipe and lockfile; empty if they agree.

    Raises ``Faults`` if the recipe's slices are faulty.
    """
    folders = SliceFolders(recipe.slices, recipe.boundary)
    definitions = used_definitions(reached_slices(recipe, folders))
    if folders.faults:
        raise Faults(folders.faults, what=f"faults in the slices of {recipe.name}")
    requests = [request_digest(recipe, definitions, programs=each) for each in (True, False)]
    if lockfile.request in requests and recipe.name == lockfile.recipe:
        return ()
    found = [
        *_names(recipe, lockfile),
        *_platforms(recipe, lockfile),
        *_packages(recipe, lockfile, folders),
        *_slices(definitions, lockfile),
    ]
    return tuple(found) or (
        "versions, archives, pins, programs or steps of the recipe have changed",
    )


def _names(recipe: Recipe, lockfile: Lockfile) -> list[str]:
    if recipe.name == lockfile.recipe:
        return []
    return [f"the lockfile belongs to the recipe {lockfile.recipe}, not to {recipe.name}"]


def _platforms(recipe: Recipe, lockfile: Lockfile) -> list[str]:
    wanted, locked = set(recipe.platforms), set(lockfile.platforms)
    return [
        *(f"{platform} is not locked" for platform in sorted(wanted - locked, key=str)),
        *(
            f"{platform} is no longer in the recipe"
            for platform in sorted(locked - wanted, key=str)
        ),
    ]


def _packages(recipe: Recipe, lockfile: Lockfile, folders: SliceFolders) -> list[str]:
    found: dict[str, None] = {}
    for platform in recipe.platforms:
        locked = {package.name: package for package in lockfile.platforms.get(platform, ())}
        if platform not in lockfile.platforms:
            continue
        for choice in recipe.packages:
            if not choice.applies_to(platform) or not choice.whole:
                continue
            there = locked.get(choice.name)
            if there is None:
                found[f"{choice.name} is not locked"] = None
            elif not there.whole:
                found[f"{choice.name} is locked in slices, but the recipe takes it whole"] = None
        for name in wanted_slices(recipe, platform):
            there = locked.get(folders.current(name, locked.__contains__).package)
            if there is None or (there.slices and name.slice not in there.slices):
                found[f"{name} is not locked"] = None
    return list(found)


def _slices(definitions: dict[SliceName, Slice], lockfile: Lockfile) -> list[str]:
    return [
        f"the slice {name} has a new definition"
        for name, definition in definitions.items()
        # Which package a slice moved to is decided in locking, and not of the lockfile.
        if name in lockfile.slices
        and lockfile.slices[name] != msgspec.structs.replace(definition, successor="")
    ]
