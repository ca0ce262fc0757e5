"""The recipes of the catalog, loaded, and what is locked for each."""

from __future__ import annotations

import msgspec

from homeport.recipe.catalog import Catalog, current_catalog, find_recipe
from homeport.recipe.loading import load_recipe
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.model import Recipe


class LockedRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe, its file as it is written, and its lockfile if there is one."""

    recipe: Recipe
    text: str
    lockfile: Lockfile | None


def catalog_recipes(catalog: Catalog | None = None) -> tuple[Recipe, ...]:
    """Every recipe of the catalog, sorted by name."""
    catalog = catalog or current_catalog()
    files = [catalog.recipe_file(name) for name in catalog.names()]
    return tuple(load_recipe(file, catalog) for file in files if file is not None)


def locked_recipe(name: str, catalog: Catalog | None = None) -> LockedRecipe:
    """The recipe of that name or file, with the lockfile beside it."""
    catalog = catalog or current_catalog()
    recipe = load_recipe(find_recipe(name, catalog), catalog)
    return LockedRecipe(
        recipe=recipe,
        text=recipe.path.read_text(),
        lockfile=read_lockfile(recipe.path.parent / recipe.lock_name),
    )
