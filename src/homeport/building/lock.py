"""``homeport lock`` and ``homeport lock --check``: packages and parts of a recipe, locked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.building.preparation import keep_proof, pin_parts, verify_lock
from homeport.building.request import BuildRequest, Connections
from homeport.locking.changes import package_changes
from homeport.locking.ensure_lock import EnsuredLock, ensure_lock
from homeport.locking.lock_paths import LockPaths, lock_paths, proof_path
from homeport.locking.staleness import stale_reasons
from homeport.locking.verification import NotVerified, Verification
from homeport.locking.verified_locks import is_known, remember_verified
from homeport.progress import CancelToken
from homeport.quantities import counted
from homeport.recipe.catalog import current_catalog, lock_command
from homeport.recipe.loading import find_and_load
from homeport.recipe.lock.writing import write_lockfile
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

if TYPE_CHECKING:
    from homeport.locking.archive_access import ArchiveAccess


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
    paths = lock_paths(recipe, current_catalog(), request.directory, file=request.lockfile)
    with runtime.store.lease():
        _restore(paths, recipe, runtime)
        first = ensure_lock(
            recipe,
            paths,
            runtime.store,
            lambda: connections.archives(recipe, request.mirrors),
            update=request.update,
            as_of=request.as_of,
            command=request.command,
            tell=False,
        )
        prepared, _ = pin_parts(
            recipe,
            first,
            paths,
            recipe.platforms,
            request=request,
            runtime=runtime,
            connections=connections,
        )
        if request.keep_parts:
            _keep_parts(prepared, runtime)
        keep_proof(prepared, first, recipe, runtime)
        if prepared.locked is None and prepared.digest == first.digest:
            _report(prepared, paths, recipe, runtime)
    return recipe, prepared


def _keep_parts(prepared: EnsuredLock, runtime: Runtime) -> None:
    # 300 ms that recipes without parts save
    from homeport.parts.kept import kept_folder, write_kept

    folder = kept_folder(prepared.path)
    count = write_kept(prepared.lockfile, folder, runtime.store)
    runtime.progress.note("lock", f"{folder}: {counted(count, 'file')}")


def verify_lockfile(
    name: str,
    lockfile: Path | None,
    directory: Path,
    runtime: Runtime,
    *,
    allow_outside: Iterable[Path] = (),
    access: Callable[[Recipe], ArchiveAccess] | None = None,
) -> Verification:
    """What ``homeport lock --verify`` does. Raises ``NotVerified``.

    access: to the archives, used if there is no proof; ``None``: a proof is required
    """
    recipe = find_and_load(name, allow_outside)
    paths = lock_paths(recipe, current_catalog(), directory, file=lockfile)
    found = paths.find()
    if found is None:
        raise NotVerified(
            f"cannot verify {paths.write}: no such lockfile",
            where={"file": str(paths.write)},
            hint=f"run {lock_command(recipe.path)}",
        )
    # 300 ms that other commands save
    from homeport.locking.proof import verify, verify_from_archive

    if access is None or proof_path(found.path).is_file():
        return verify(found, recipe, runtime.cancel)
    with runtime.store.lease():
        verification = verify_from_archive(found, recipe, access(recipe))
        remember_verified(verification, found, recipe, runtime.store)
    return verification


def _restore(paths: LockPaths, recipe: Recipe, runtime: Runtime) -> None:
    """Put back what the signed indexes say, before anything is fetched by a changed hash."""
    found = paths.find()
    if found is None or is_known(found, recipe, runtime.store):
        return
    # 300 ms that a lockfile saves that was verified before
    from homeport.locking.proof import restored

    lockfile = restored(found, recipe, runtime.store, runtime.cancel)
    if lockfile != found.lockfile:
        write_lockfile(lockfile, paths.write)
        for change in package_changes(found.lockfile, lockfile):
            runtime.progress.note(
                "lock", f"warning: {change.name}: restored the hash of the signed index"
            )


def _report(prepared: EnsuredLock, paths: LockPaths, recipe: Recipe, runtime: Runtime) -> None:
    """Whether an unchanged lockfile is verified; its proof is written if it was missing."""
    verification = verify_lock(prepared, recipe, runtime)
    runtime.progress.note("lock", str(verification))
    if prepared.path == paths.write and not proof_path(prepared.path).is_file():
        # 300 ms that a lockfile saves that has its proof
        from homeport.locking.proof import save_proof

        save_proof(prepared.lockfile, prepared.path, recipe, runtime.store)


def check_lock(
    name: str,
    lockfile: Path | None,
    directory: Path,
    cancel: CancelToken,
    allow_outside: Iterable[Path] = (),
) -> LockCheck:
    """Compare a recipe with its lockfile, without the network; nothing is written."""
    recipe = find_and_load(name, allow_outside)
    found = lock_paths(recipe, current_catalog(), directory, file=lockfile).find()
    if found is None:
        return LockCheck(recipe=recipe, lockfile=None, disagreements=("there is no lockfile",))
    differences = stale_reasons(recipe, found.lockfile)
    if recipe.parts:
        # 300 ms that other builds save
        from homeport.parts.resolve import part_stale_reasons

        differences += part_stale_reasons(recipe, found.lockfile, cancel)
    return LockCheck(recipe=recipe, lockfile=found.path, disagreements=differences)
