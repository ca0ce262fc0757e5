"""The path of a recipe's lockfile, and the path of a new one.

A user's lockfile is beside the recipe, also in a folder that is the user's catalog. Those of the
shipped catalog and of one that was fetched are never written: ``./NAME.lock`` in the working
directory is, and has precedence.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.recipe.catalog import Catalog
from homeport.recipe.lock.reading import StoredLock, read_stored_lock
from homeport.recipe.model import Recipe


class LockPaths(msgspec.Struct, frozen=True, kw_only=True):
    """read: in this order, the first that exists; write: where a new one goes."""

    read: tuple[Path, ...]
    write: Path

    def find(self) -> StoredLock | None:
        """The lockfile to use. Raises ``BadLockfile``."""
        for path in self.read:
            found = read_stored_lock(path)
            if found is not None:
                return found
        return None


def proof_path(lockfile: Path) -> Path:
    """The proof of a lockfile, beside it."""
    return lockfile.with_name(f"{lockfile.name}.proof")


def lock_paths(
    recipe: Recipe, catalog: Catalog, directory: Path, *, file: Path | None = None
) -> LockPaths:
    """The paths at which the lockfile of a recipe is read and written.

    directory: the working directory
    file:      the path that the user gives; then no other is used
    """
    if file is not None:
        return LockPaths(read=(file,), write=file)
    beside = recipe.path.parent / recipe.lock_name
    if not catalog.keeps(recipe.path):
        return LockPaths(read=(beside,), write=beside)
    here = directory / recipe.lock_name
    return LockPaths(read=(here, beside), write=here)
