"""``homeport lock`` and ``homeport lock --check``: packages and parts of a recipe, locked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from homeport.building.preparation import pin_parts
from homeport.building.request import BuildRequest, Connections
from homeport.locking.ensure_lock import EnsuredLock, ensure_lock
from homeport.locking.lock_paths import lock_paths
from homeport.locking.staleness import stale_reasons
from homeport.progress import CancelToken
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime


class LockCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe, its lockfile if there is one, and where the two disagree."""

    recipe: Recipe
    lockfile: Path | None
    disagreements: tuple[str, ...]


def lock_recipe(
    request: BuildRequest, runtime: Runtime, connections: Connections
) -> tuple[Recipe, EnsuredLock]:
    """What ``homeport lock`` does: packages and parts, for all platforms of the recipe."""
    recipe = find_and_load(request.recipe, request.allow_outside)
    paths = lock_paths(recipe, shipped_catalog(), request.directory, file=request.lockfile)
    with runtime.store.lease():
        prepared = ensure_lock(
            recipe,
            paths,
            runtime.store,
            lambda: connections.archives(recipe, request.mirrors),
            update=request.update,
            as_of=request.as_of,
            command=request.command,
        )
        prepared, _ = pin_parts(
            recipe,
            prepared,
            paths,
            recipe.platforms,
            request=request,
            runtime=runtime,
            connections=connections,
        )
    return recipe, prepared


def check_lock(
    name: str,
    lockfile: Path | None,
    directory: Path,
    cancel: CancelToken,
    allow_outside: Iterable[Path] = (),
) -> LockCheck:
    """Compare a recipe with its lockfile, without the network; nothing is written."""
    recipe = find_and_load(name, allow_outside)
    found = lock_paths(recipe, shipped_catalog(), directory, file=lockfile).find()
    if found is None:
        return LockCheck(recipe=recipe, lockfile=None, disagreements=("there is no lockfile",))
    differences = stale_reasons(recipe, found.lockfile)
    if recipe.parts:
        # 300 ms that other builds save
        from homeport.parts.resolve import part_stale_reasons

        differences += part_stale_reasons(recipe, found.lockfile, cancel)
    return LockCheck(recipe=recipe, lockfile=found.path, disagreements=differences)
