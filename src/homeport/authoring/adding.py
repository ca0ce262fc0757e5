"""``add``: packages and slices into a recipe that a person wrote, whose other bytes stay."""

from __future__ import annotations

import re

import msgspec

from homeport.authoring.archive_state import OpenArchives, check_known
from homeport.content.files import check_place, write_file
from homeport.errors import UsageError
from homeport.printable import printable
from homeport.recipe.catalog import current_catalog, find_recipe, lock_command
from homeport.recipe.checking import check_loaded
from homeport.recipe.entries import PackageChoice
from homeport.recipe.loading import load_recipe
from homeport.recipe.model import Recipe
from homeport.recipe.schema.values import PACKAGE_ENTRY
from homeport.recipe.text_files import read_text_file
from homeport.yamlfile.appending import append_items


class PackagesAdded(msgspec.Struct, frozen=True, kw_only=True):
    """What ``add`` did.

    added:   entries written to ``packages``; present: those that were there already
    checked: whether the archives were asked for the packages
    next:    the command that locks them
    """

    file: str
    added: tuple[str, ...]
    present: tuple[str, ...]
    checked: bool
    next: str


def check_entry(text: str) -> str:
    """An entry of ``packages`` as a user types it. Raises ``UsageError``."""
    if re.fullmatch(PACKAGE_ENTRY.pattern or "", text) is None:
        raise UsageError(
            f"invalid package {printable(text)!r}", hint=f"write {PACKAGE_ENTRY.example}"
        )
    return text


def add_packages(
    wanted: str, entries: tuple[str, ...], archives: OpenArchives | None
) -> PackagesAdded:
    """Write ``entries`` into the recipe ``wanted``, once it is known to be valid with them.

    archives: is asked whether there are such packages; ``None``: that is not checked
    Raises ``Faults`` and ``UsageError``; then nothing is written.
    """
    catalog = current_catalog()
    path = find_recipe(wanted, catalog)
    if catalog.keeps(path):
        raise UsageError(
            f"{wanted} lies in a catalog that is not written to",
            hint=f"write your own with 'extends: {wanted}', then add to it",
        )
    asked = tuple(dict.fromkeys(map(check_entry, entries)))
    data = read_text_file(path)
    written = _written(load_recipe(path, catalog))
    added = tuple(entry for entry in asked if entry not in written)
    present = tuple(entry for entry in asked if entry in written)
    text = append_items(data.decode(), "packages", added).encode()
    recipe = check_loaded(load_recipe(path, catalog, data=text))
    if lost := set(added) - _written(recipe):
        raise UsageError(f"cannot write {printable(sorted(lost)[0])!r} into {path}")
    if added:
        check_place(path)
    if archives is not None and added:
        check_known(recipe, _choices(recipe, added), archives)
    if added:
        write_file(path, text, mode=path.stat().st_mode & 0o777)
    return PackagesAdded(
        file=str(path),
        added=added,
        present=present,
        checked=archives is not None,
        next=lock_command(path),
    )


def _written(recipe: Recipe) -> frozenset[str]:
    """The short forms of what the recipe has for all platforms."""
    found: set[str] = set()
    for choice in recipe.packages:
        if choice.platforms or choice.exclude:
            continue
        if choice.version or choice.suite:
            if not choice.slices and not (choice.version and choice.suite):
                sign, value = ("=", choice.version) if choice.version else ("/", choice.suite)
                found.add(f"{choice.name}{sign}{value}")
            continue
        found |= {f"{choice.name}_{each}" for each in choice.slices} or {choice.name}
    return frozenset(found)


def _choices(recipe: Recipe, entries: tuple[str, ...]) -> list[PackageChoice]:
    names = {re.split("[_=/]", entry)[0] for entry in entries}
    return [choice for choice in recipe.packages if choice.name in names]
