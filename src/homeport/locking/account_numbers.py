"""Numbers of the accounts that packages make, chosen once and kept in the lockfile.

Files in volumes belong to numbers, so a name keeps its number while the recipe changes. Names
come from what packages declare and what their scripts say, read here as a build reads them but
without the recipe's own files. A name that only those bring has the number that follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from homeport.assemble.plan import plan_of_packages
from homeport.assemble.system.accounts import chosen_numbers, settle_accounts
from homeport.assemble.tree_assembly import effects_of
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.debian.scripts.effects import Effect
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import NO_NUMBERS, AccountNumbers, Lockfile
from homeport.recipe.model import Recipe


def account_numbers(
    recipe: Recipe,
    lockfile: Lockfile,
    contents: Mapping[Platform, Mapping[str, PackageContents]],
    *,
    recorded: AccountNumbers,
    store: Store,
) -> AccountNumbers:
    """One number for each name, on all platforms; ``recorded`` ones stay while they are used.

    Raises what reading scripts raises.
    """
    effects = [
        effects_of(plan_of_packages(recipe, lockfile, platform), contents[platform], store)
        for platform, packages in lockfile.platforms.items()
        if any(package.whole for package in packages)
    ]
    used = NO_NUMBERS
    for each in effects:
        used = _joined(used, _numbers(recipe, each, NO_NUMBERS))
    # A name that is gone keeps no number from others.
    chosen = AccountNumbers(
        users={name: uid for name, uid in recorded.users.items() if name in used.users},
        groups={name: gid for name, gid in recorded.groups.items() if name in used.groups},
    )
    for each in effects:
        chosen = _joined(chosen, _numbers(recipe, each, chosen))
    return chosen


def moved_numbers(old: AccountNumbers, new: AccountNumbers) -> Iterator[str]:
    """A line for each name that could not keep its number, for the user."""
    kinds = (("user", old.users, new.users), ("group", old.groups, new.groups))
    for kind, before, after in kinds:
        for name in sorted(before.keys() & after.keys()):
            if before[name] != after[name]:
                yield (
                    f"warning: {kind} {name}: number {before[name]} → {after[name]}, because "
                    f"{before[name]} belongs to another account now; change the owner of its "
                    "files in volumes"
                )


def _numbers(recipe: Recipe, effects: Iterable[Effect], known: AccountNumbers) -> AccountNumbers:
    settled = settle_accounts(recipe.users, recipe.groups, effects, "/bin/sh", known)
    return chosen_numbers(settled, recipe.users, recipe.groups)


def _joined(one: AccountNumbers, other: AccountNumbers) -> AccountNumbers:
    return AccountNumbers(users={**one.users, **other.users}, groups={**one.groups, **other.groups})
