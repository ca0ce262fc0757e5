"""A user's catalog as a folder of this machine, whatever it was named as.

A folder is used where it lies. Artifacts and repositories are copied into a directory of the run:
what they hold was verified by its digest or commit, and only directories and files are written.
"""

from __future__ import annotations

from pathlib import Path

from homeport.catalogs.source import BadCatalog, FolderSource, parse_catalog
from homeport.recipe.catalog import UserCatalog
from homeport.recipe.schema.defaults import FILE_NAME


def open_catalog(written: str) -> UserCatalog:
    """The catalog that ``written`` names. Raises ``BadCatalog`` and what fetching it raises."""
    source = parse_catalog(written)
    assert isinstance(source, FolderSource)
    return UserCatalog(folder=_checked(source.path, written), written=written)


def _checked(folder: Path, written: str) -> Path:
    """``folder``, if it has a recipe or a slice."""
    if any(folder.glob(f"*/{FILE_NAME}")) or any(folder.glob("slices/*.yaml")):
        return folder
    raise BadCatalog(
        f"the catalog {written!r} has no recipes and no slices",
        hint=f"a catalog has NAME/{FILE_NAME} for each recipe, and slices/PACKAGE.yaml",
    )
