"""The catalog: recipes and slices by name, those of the user in front of those of Homeport.

``catalog/NAME/homeport.yaml``, its lockfile beside it, and ``catalog/slices`` for all. A user's own
catalog is a folder of the same layout (docs/formats/catalog.md). The catalog is set once for the
whole process, by ``App``, as a user's limits are; ``current_catalog`` is read wherever a recipe
is named.
"""

from __future__ import annotations

import contextlib
import difflib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import homeport
from homeport.errors import UsageError, docs_page
from homeport.printable import shell_path
from homeport.recipe.schema.defaults import FILE_NAME


class UnknownRecipe(UsageError):
    """No file and no recipe of the catalog has this name."""

    id = "unknown-recipe"


class UserCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog of the user's.

    folder:  resolved
    written: as the user named it
    fetched: a copy of a repository or artifact, which is never written to
    """

    folder: Path
    written: str
    fetched: bool = False


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of recipes and slices, and a user's own in front of it.

    package: the directory that its recipes may name files of, where that is a larger one
    """

    directory: Path
    package: Path | None = None
    own: UserCatalog | None = None

    @property
    def slices(self) -> Path:
        """The slices that Homeport ships."""
        return self.directory / "slices"

    @property
    def slice_folders(self) -> tuple[Path, ...]:
        """Where slices are looked for, in this order."""
        return tuple(folder / "slices" for folder in self.folders)

    @property
    def folders(self) -> tuple[Path, ...]:
        """The user's first: its recipes and slices replace those of the same name."""
        return (*((self.own.folder,) if self.own else ()), self.directory)

    def names(self) -> tuple[str, ...]:
        """Every recipe's name, sorted."""
        found = (path for folder in self.folders for path in folder.glob(f"*/{FILE_NAME}"))
        return tuple(sorted({path.parent.name for path in found}))

    def recipe_file(self, name: str, besides: Path | None = None) -> Path | None:
        """The file of the recipe called ``name``.

        besides: a file that is not the answer: a user's recipe may extend the shipped one of its
                 own name
        """
        if not is_name(name):
            return None
        for folder in self.folders:
            path = folder / name / FILE_NAME
            if path.is_file() and (besides is None or path.resolve() != besides.resolve()):
                return path
        return None

    def ships(self, path: Path) -> bool:
        """Whether a file is one that is installed with Homeport."""
        return path.resolve().is_relative_to(self.directory.resolve())

    def owns(self, path: Path) -> bool:
        """Whether a file lies in the user's own catalog."""
        return self.own is not None and path.resolve().is_relative_to(self.own.folder)

    def seen_from(self, path: Path) -> Catalog:
        """What a recipe at ``path`` sees: one that ships sees no other, as its lockfile does."""
        return msgspec.structs.replace(self, own=None) if self.ships(path) else self

    def keeps(self, path: Path) -> bool:
        """Whether a recipe lies where nothing is written: in the program, or in a fetched copy."""
        fetched = self.own is not None and self.own.fetched and self.owns(path)
        return fetched or self.ships(path)


def shipped_catalog() -> Catalog:
    """The catalog that is installed with Homeport."""
    package = Path(homeport.__file__).parent
    return Catalog(directory=package / "catalog", package=package)


class _Finder(msgspec.Struct, frozen=True, eq=False):
    find: Callable[[], UserCatalog] | None


#: Functions that find the user's catalog; the last one is used. ``None``: only the shipped catalog.
_user_catalogs: list[_Finder] = []


def current_catalog() -> Catalog:
    """The catalog of this process: the shipped one, with the user's in front if one was named."""
    shipped = shipped_catalog()
    find = _user_catalogs[-1].find if _user_catalogs else None
    return msgspec.structs.replace(shipped, own=find()) if find else shipped


@contextlib.contextmanager
def user_catalog(find: Callable[[], UserCatalog] | None) -> Iterator[None]:
    """Within the context, the catalog that ``find`` returns precedes the shipped one.

    It is called when a recipe is first looked up, so that other commands fetch nothing, and must
    give the same answer each time. ``None``: the shipped catalog alone.
    """
    entry = _Finder(find)
    _user_catalogs.append(entry)
    try:
        yield
    finally:
        _user_catalogs.remove(entry)


def is_name(wanted: str) -> bool:
    """Whether ``wanted`` is looked up in the catalog, and not on the disk.

    A name has no ``/`` and ends in no ``.yaml`` or ``.yml``, so that a folder that happens to be
    there changes nothing.
    """
    return (
        "/" not in wanted
        and not wanted.endswith((".yaml", ".yml"))
        and wanted not in ("", ".", "..")
    )


def is_recipe(wanted: str) -> bool:
    """Whether ``wanted`` is a recipe of the catalog, a recipe's file, or a folder with one.

    Anything else may be the address of an image.
    """
    path = Path(wanted)
    return (
        (is_name(wanted) and current_catalog().recipe_file(wanted) is not None)
        or (wanted.endswith((".yaml", ".yml")) and path.is_file())
        or (path / FILE_NAME).is_file()
    )


def find_recipe(wanted: str, catalog: Catalog, beside: Path | None = None) -> Path:
    """The file that ``wanted`` means: a recipe of the catalog, a file, or a folder with one.

    ``beside``: the file that relative paths start from. Raises ``UnknownRecipe``.
    """
    if is_name(wanted):
        found = catalog.recipe_file(wanted, besides=beside)
        if found is None:
            raise UnknownRecipe(
                f"the catalog has no recipe {wanted!r}", hint=_near(wanted, catalog)
            )
        return found
    path = (beside.parent / wanted) if beside else Path(wanted)
    if path.is_dir():
        path = path / FILE_NAME
    if path.exists() and not path.is_file():
        raise UnknownRecipe(
            f"{path} is not a regular file", hint="give a recipe file, or a folder with one"
        )
    if not path.is_file():
        raise UnknownRecipe(
            f"missing file {path}",
            hint=f"paths are relative to {beside.parent}; for a recipe of the catalog, give its"
            " name only: homeport catalog list"
            if beside
            else "create one: homeport init PACKAGE...; list those of the catalog: homeport"
            f" catalog list; format: {docs_page('formats/recipe')}",
        )
    return path


def lock_command(recipe: Path) -> str:
    """The command that locks a recipe, ready for a shell."""
    return f"homeport lock {shell_path(str(recipe))}{catalog_words()}"


def catalog_words() -> str:
    """What a command needs behind it for the catalog of this process, ready for a shell."""
    own = current_catalog().own
    return f" --catalog {shlex.quote(own.written)}" if own else ""


def _near(wanted: str, catalog: Catalog) -> str:
    if Path(wanted).exists():
        return f"a name without a slash means a recipe of the catalog; for the path: ./{wanted}"
    near = difflib.get_close_matches(wanted, catalog.names(), n=1)
    meant = f"did you mean {near[0]}?" if near else f"the catalog has {_names(catalog)}."
    return f"{meant} For a file or folder, write a slash: ./{wanted}"


def _names(catalog: Catalog) -> str:
    return ", ".join(catalog.names()) or "no recipes"
