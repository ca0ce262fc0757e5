"""Every check of a recipe that needs no network, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.debian.archive.keyring import SHIPPED_NAMES
from homeport.errors import Faults, HomeportError
from homeport.recipe.catalog import Catalog
from homeport.recipe.dockerfile_pinning import unpinned
from homeport.recipe.loading import find_and_load
from homeport.recipe.lock.lock_request import reached_slices
from homeport.recipe.missing_files import missing_files
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart
from homeport.recipe.slices.reading import SliceFolders
from homeport.recipe.text_files import BadRecipe

_PREFIX = "debian-archive-"


def check_recipe(
    wanted: str, catalog: Catalog | None = None, allow_outside: Iterable[Path] = ()
) -> Recipe:
    """Load the recipe and check its local files, slices and keys.

    Raises ``UnknownRecipe`` or ``Faults``.
    """
    return check_loaded(find_and_load(wanted, allow_outside, catalog))


def check_loaded(recipe: Recipe) -> Recipe:
    """Check what ``recipe`` names: local files, slices and keys. Raises ``Faults``."""
    folders = SliceFolders(recipe.slices, recipe.boundary)
    reached_slices(recipe, folders)
    faults = [*folders.faults, *missing_files(recipe), *_dockerfiles(recipe), *_keys(recipe)]
    if faults:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Faults(faults, what=f"{number} in the recipe {recipe.path}")
    return recipe


def _dockerfiles(recipe: Recipe) -> Iterator[HomeportError]:
    for part in recipe.parts:
        if isinstance(part, DockerfilePart):
            yield from unpinned(part)


def _keys(recipe: Recipe) -> list[HomeportError]:
    faults: list[HomeportError] = []
    for archive in recipe.archives:
        for key in archive.keys:
            if key.path is not None and not key.path.is_file():
                what, hint = f"missing key file {key.path}", None
            elif key.path is None and not {key.name, f"{_PREFIX}{key.name}"} & {*SHIPPED_NAMES}:
                what = f"unknown certificate {key.name!r}"
                hint = f"Homeport ships {', '.join(SHIPPED_NAMES)}"
            else:
                continue
            faults.append(BadRecipe(what, where=archive.place.where(), hint=hint))
    return faults
