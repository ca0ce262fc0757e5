"""Everything that can be said about a recipe without the network, in one pass."""

from __future__ import annotations

from homeport.debian.archive.keyring import SHIPPED
from homeport.errors import Faults, HomeportError
from homeport.recipe.catalog import Catalog, find_recipe, shipped_catalog
from homeport.recipe.loading import load_recipe, missing_files
from homeport.recipe.lock.lock_request import reached_slices
from homeport.recipe.model import Recipe
from homeport.recipe.schema.yamltext import BadText
from homeport.recipe.slices.reading import SliceFolders

_PREFIX = "debian-archive-"


def check_recipe(wanted: str, catalog: Catalog | None = None) -> Recipe:
    """Load the recipe and ask for its local files, slices and keys.

    Raises ``UnknownRecipe`` or ``Faults``.
    """
    catalog = catalog or shipped_catalog()
    recipe = load_recipe(find_recipe(wanted, catalog), catalog)
    folders = SliceFolders(recipe.slices)
    reached_slices(recipe, folders)
    faults = [*folders.faults, *missing_files(recipe), *_keys(recipe)]
    if faults:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Faults(faults, what=f"{number} in the recipe {recipe.path}")
    return recipe


def _keys(recipe: Recipe) -> list[HomeportError]:
    faults: list[HomeportError] = []
    for archive in recipe.archives:
        for key in archive.keys:
            if key.path is not None and not key.path.is_file():
                what, hint = f"there is no key file {key.path}", None
            elif key.path is None and key.name.removeprefix(_PREFIX) not in SHIPPED:
                what = f"no certificate named {key.name!r} ships with Homeport"
                hint = f"there are {', '.join(_PREFIX + name for name in SHIPPED)}"
            else:
                continue
            faults.append(BadText(what, where=archive.place.where(), hint=hint))
    return faults
