"""Every check of a recipe that needs no network, in one pass."""

from __future__ import annotations

from homeport.debian.archive.keyring import SHIPPED
from homeport.errors import Faults, HomeportError
from homeport.recipe.catalog import Catalog, find_recipe, shipped_catalog
from homeport.recipe.dockerfile_pinning import unpinned
from homeport.recipe.entries import LocalFiles
from homeport.recipe.loading import load_recipe
from homeport.recipe.lock.lock_request import reached_slices
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart, RunPart
from homeport.recipe.slices.reading import SliceFolders
from homeport.recipe.text_files import BadRecipe

_PREFIX = "debian-archive-"


def check_recipe(wanted: str, catalog: Catalog | None = None) -> Recipe:
    """Load the recipe and check its local files, slices and keys.

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


def missing_files(recipe: Recipe) -> list[HomeportError]:
    """Local files of the recipe that do not exist, and faults of its Dockerfiles."""
    inputs = [each for part in recipe.parts if isinstance(part, RunPart) for each in part.inputs]
    missing: list[HomeportError] = [
        BadRecipe(f"missing file {files.source}", where=files.place.where())
        for files in (*recipe.files, *inputs)
        if isinstance(files, LocalFiles) and not files.source.exists()
    ]
    for part in recipe.parts:
        if isinstance(part, DockerfilePart):
            if not part.context.is_dir():
                what = f"missing directory {part.context}"
                missing.append(BadRecipe(what, where=part.place.where()))
            missing += unpinned(part)
    return missing


def _keys(recipe: Recipe) -> list[HomeportError]:
    faults: list[HomeportError] = []
    for archive in recipe.archives:
        for key in archive.keys:
            if key.path is not None and not key.path.is_file():
                what, hint = f"missing key file {key.path}", None
            elif key.path is None and key.name.removeprefix(_PREFIX) not in SHIPPED:
                what = f"unknown certificate {key.name!r}"
                hint = f"Homeport ships {', '.join(_PREFIX + name for name in SHIPPED)}"
            else:
                continue
            faults.append(BadRecipe(what, where=archive.place.where(), hint=hint))
    return faults
