"""The catalog: recipes and slices that ship with Homeport, as files.

``catalog/NAME/homeport.yaml``, its lockfile beside it, and ``catalog/slices`` for all.
"""

from __future__ import annotations

import difflib
import shlex
from pathlib import Path

import msgspec

import homeport
from homeport.errors import UsageError, docs_page
from homeport.recipe.schema.defaults import FILE_NAME


class UnknownRecipe(UsageError):
    """No file and no recipe of the catalog has this name."""

    id = "unknown-recipe"


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of recipes and slices.

    package: the directory that its recipes may name files of, where that is a larger one
    """

    directory: Path
    package: Path | None = None

    @property
    def slices(self) -> Path:
        return self.directory / "slices"

    def names(self) -> tuple[str, ...]:
        """Every recipe's name, sorted."""
        return tuple(sorted(path.parent.name for path in self.directory.glob(f"*/{FILE_NAME}")))

    def recipe_file(self, name: str) -> Path | None:
        """The file of the recipe called ``name``."""
        path = self.directory / name / FILE_NAME
        return path if name in self.names() else None

    def holds(self, path: Path) -> bool:
        """Whether a recipe's file is one of the catalog's (its folder is not written to)."""
        return path.resolve().is_relative_to(self.directory.resolve())


def shipped_catalog() -> Catalog:
    """The catalog that is installed with Homeport."""
    package = Path(homeport.__file__).parent
    return Catalog(directory=package / "catalog", package=package)


def is_recipe(wanted: str) -> bool:
    """Whether ``wanted`` is a recipe of the catalog, a recipe's file, or a folder with one.

    Anything else may be the address of an image.
    """
    path = Path(wanted)
    return (
        shipped_catalog().recipe_file(wanted) is not None
        or (wanted.endswith((".yaml", ".yml")) and path.is_file())
        or (path / FILE_NAME).is_file()
    )


def find_recipe(wanted: str, catalog: Catalog, beside: Path | None = None) -> Path:
    """The file that ``wanted`` means: a recipe of the catalog, a file, or a folder with one.

    A name without ``/`` that ends in no ``.yaml`` or ``.yml`` is looked up in the catalog
    alone, so that a folder that happens to be there changes nothing.
    ``beside``: the file that relative paths start from. Raises ``UnknownRecipe``.
    """
    if "/" not in wanted and not wanted.endswith((".yaml", ".yml")) and wanted not in (".", ".."):
        found = catalog.recipe_file(wanted)
        if found is None:
            raise UnknownRecipe(
                f"the catalog has no recipe {wanted!r}", hint=_near(wanted, catalog)
            )
        return found
    path = (beside.parent / wanted) if beside else Path(wanted)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise UnknownRecipe(
            f"missing file {path}",
            hint="start one: homeport init PACKAGE...; or build one of the catalog: homeport"
            f" catalog list; {docs_page('formats/recipe')} says what a recipe has",
        )
    return path


def lock_command(recipe: Path) -> str:
    """The command that locks a recipe, ready for a shell."""
    return f"homeport lock {shlex.quote(str(recipe))}"


def _near(wanted: str, catalog: Catalog) -> str:
    near = difflib.get_close_matches(wanted, catalog.names(), n=1)
    meant = f"did you mean {near[0]}?" if near else f"the catalog has {_names(catalog)}."
    return f"{meant} A file or folder is written with a slash: ./{wanted}"


def _names(catalog: Catalog) -> str:
    return ", ".join(catalog.names()) or "no recipes"
