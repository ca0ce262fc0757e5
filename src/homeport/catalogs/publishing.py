"""``catalog push``: a folder of recipes and slices as an artifact, after all of it is checked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.catalogs.artifact import catalog_artifact
from homeport.catalogs.source import BadCatalog
from homeport.errors import Faults, HomeportError
from homeport.images.transports.base import Destination, Written
from homeport.recipe.boundary import Boundary
from homeport.recipe.catalog import UserCatalog, shipped_catalog
from homeport.recipe.checking import check_recipe
from homeport.recipe.schema.defaults import FILE_NAME
from homeport.recipe.slices.reading import SliceFolders
from homeport.runtime import Runtime


def push_catalog(folder: Path, destination: Destination, runtime: Runtime) -> Written:
    """Write the catalog in ``folder``. Raises ``Faults`` with those of all recipes and slices."""
    folder = folder.resolve()
    own = UserCatalog(folder=folder, written=str(folder))
    catalog = msgspec.structs.replace(shipped_catalog(), own=own)
    recipes = sorted(folder.glob(f"*/{FILE_NAME}"))
    slices = sorted(folder.glob("slices/*.yaml"))
    if not recipes and not slices:
        raise BadCatalog(
            f"{folder} has no recipes and no slices",
            hint=f"a catalog has NAME/{FILE_NAME} for each recipe, and slices/PACKAGE.yaml",
        )
    faults: list[HomeportError] = []
    for path in recipes:
        try:
            check_recipe(str(path), catalog)
        except Faults as error:
            faults += error.faults
    known = SliceFolders((folder / "slices",), Boundary((folder,)))
    for path in slices:
        known.of_package(path.stem)
    faults += known.faults
    if faults:
        raise Faults(faults, what=f"faults in the catalog {folder}; nothing was written")
    return destination.write(catalog_artifact(folder, runtime), runtime)
