"""Packages that may change although the recipe did not (``--update``)."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

from homeport.errors import UsageError
from homeport.recipe.catalog import lock_command
from homeport.recipe.lock.model import Lockfile


class UpdatePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The packages that ``--update`` names.

    all_packages: all of them
    names:      these
    """

    all_packages: bool = False
    names: frozenset[str] = frozenset()

    def keeps(self, name: str) -> bool:
        return not self.all_packages and name not in self.names

    def check(self, lockfile: Lockfile | None, recipe: Path) -> None:
        """Raise ``UsageError`` for a name that is not locked: it would have no effect."""
        locked = _names(lockfile) if lockfile else set()
        for name in sorted(self.names - locked):
            near = difflib.get_close_matches(name, locked, n=1)
            everything = f"{lock_command(recipe)} --update all"
            hint = f"did you mean {near[0]}?" if near else everything
            raise UsageError(
                f"cannot update {name!r}: no package or part of that name is locked", hint=hint
            )

    def only_packages(self, lockfile: Lockfile | None) -> UpdatePolicy:
        """Without the names of parts and of packages that only their build roots have."""
        if self.all_packages or not self.names:
            return self
        locked = {p.name for packages in (lockfile.platforms if lockfile else {}).values()
                  for p in packages}  # fmt: skip
        return UpdatePolicy(names=self.names & locked)


def _names(lockfile: Lockfile) -> set[str]:
    """The names that an update may have: packages, parts, packages of their build roots."""
    names = {package.name for packages in lockfile.platforms.values() for package in packages}
    for part, locked in lockfile.parts.items():
        names |= {part} | (_names(locked.root) if locked.root else set())
    return names


#: Keep every version that is still available and satisfies the recipe.
KEEP_LOCKED = UpdatePolicy()
#: Take the newest of everything.
UPDATE_ALL = UpdatePolicy(all_packages=True)
