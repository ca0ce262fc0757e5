"""From a recipe's file, and those that it extends, to a ``Recipe``.

All faults of all files come in one ``Faults``. Nothing but recipe files is read: whether
local files and slices exist is checked by ``recipe.checking``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from homeport.errors import Faults, HomeportError
from homeport.recipe.boundary import Boundaries, Boundary
from homeport.recipe.catalog import Catalog, current_catalog, find_recipe, is_name
from homeport.recipe.extends import RecipeText, join, recipe_text
from homeport.recipe.interpret import interpret_recipe
from homeport.recipe.model import Recipe
from homeport.recipe.schema.fields import read_recipe_text
from homeport.recipe.text_files import BadRecipe, read_text_file
from homeport.yamlfile.position import FilePosition

_LONGEST_CHAIN = 16


def find_and_load(
    wanted: str, allow_outside: Iterable[Path] = (), catalog: Catalog | None = None,
    *, seen: bool = False,
) -> Recipe:  # fmt: skip
    """The recipe that a user names. Raises ``UnknownRecipe``, and what ``load_recipe`` does.

    seen: it was found in a folder that the user names, who did not name this file
    """
    catalog = catalog or current_catalog()
    path = find_recipe(wanted, catalog)
    if not seen and not is_name(wanted) and not Path(wanted).is_dir():
        allow_outside = (*allow_outside, Path(os.path.realpath(path)).parent)
    return load_recipe(path, catalog, allow_outside)


def load_recipe(
    path: Path, catalog: Catalog, allow_outside: Iterable[Path] = (), *, data: bytes | None = None
) -> Recipe:
    """Read a recipe. Raises ``Faults`` with every fault of it and of what it extends.

    allow_outside: directories that it may name files of, besides its own and the catalog's
    data: what is to be written to ``path``, in place of what the file has
    """
    catalog = catalog.seen_from(path)
    faults: list[HomeportError] = []
    boundaries = Boundaries(
        common=Boundary(
            (path.parent, *allow_outside, catalog.package or catalog.directory,
             *catalog.slice_folders)
        ),
        catalog=catalog.own.folder if catalog.own else None,
    )  # fmt: skip
    try:
        # In a stranger's folder the file itself may be a link to one of the user's.
        text = read_text_file(path, boundaries.of(path).read) if data is None else data
        source = _chain(path, text, catalog=catalog, boundaries=boundaries, above=(), faults=faults)
        recipe = (
            interpret_recipe(source, faults, _slice_folders(source, catalog), boundaries)
            if source
            else None
        )
    except BadRecipe as error:
        faults.append(error)
        recipe = None
    if recipe is None:
        number = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise Faults(sorted(faults, key=_position), what=f"{number} in the recipe {path}")
    return recipe


def _position(fault: HomeportError) -> tuple[str, int, int]:
    where = fault.where
    return str(where.get("file", "")), int(where.get("line", 0)), int(where.get("column", 0))


def _chain(
    path: Path,
    data: bytes,
    *,
    catalog: Catalog,
    boundaries: Boundaries,
    above: tuple[Path, ...],
    faults: list[HomeportError],
) -> RecipeText | None:
    """The parts of the file ``path`` on top of those of the recipes that it extends."""
    part, reader = read_recipe_text(data, str(path))
    faults += reader.faults
    if part is None:
        return None
    own = recipe_text(part, path)
    torn = msgspec.structs.replace(own, torn="extends" in part.positions)
    if "extends" not in part.values:
        return torn
    place: FilePosition = part.at("extends")
    try:
        base = find_recipe(part.get("extends"), catalog, beside=path)
        # A name is looked up by us, so that no path of the recipe decides what is read.
        named = is_name(part.get("extends"))
        boundary = boundaries.inside_catalog if named else boundaries.of(path)
        data = read_text_file(base, boundary.read)
    except HomeportError as error:
        faults.append(BadRecipe(error.what, where=place.where(), hint=error.hint))
        return torn
    chain = (*above, path)
    if base.resolve() in [file.resolve() for file in chain]:
        names = " → ".join(str(file) for file in (*chain, base))
        faults.append(BadRecipe(f"recipes extend each other: {names}", where=place.where()))
        return torn
    if len(chain) >= _LONGEST_CHAIN:
        what = f"more than {_LONGEST_CHAIN} recipes extend one another"
        faults.append(BadRecipe(what, where=place.where()))
        return torn
    catalog = catalog.seen_from(base)
    below = _chain(base, data, catalog=catalog, boundaries=boundaries, above=chain, faults=faults)
    return join(below, own) if below else torn


def _slice_folders(source: RecipeText, catalog: Catalog) -> tuple[Path, ...]:
    """Where slice files are looked for: beside the recipe first, the catalogs' last."""
    beside = [path.parent / "slices" for path in (source.path, *source.extends)]
    return tuple(dict.fromkeys((*beside, *catalog.slice_folders)))
