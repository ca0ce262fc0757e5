"""``init``: a new recipe from a few answers.

The text is made for a person to go on with; it is read back and checked as every recipe is before
it is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homeport.authoring.adding import check_entry
from homeport.authoring.archive_state import OpenArchives, check_known
from homeport.authoring.platform_choices import ALL_PLATFORMS, PLATFORMS
from homeport.content.files import check_place, write_file
from homeport.errors import UsageError
from homeport.oci.platform import parse_platforms
from homeport.printable import shell_path
from homeport.recipe.catalog import current_catalog, lock_command
from homeport.recipe.checking import check_loaded
from homeport.recipe.conflicts import matches
from homeport.recipe.loading import load_recipe
from homeport.recipe.schema.defaults import FILE_NAME
from homeport.recipe.schema.values import RECIPE_NAME


class NewRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """What a recipe is made of.

    folder:   where ``homeport.yaml`` goes; it is made if it is missing
    name:     empty: the folder's
    packages: entries as a recipe has them: ``curl``, ``libc6_libs``, ``hello=2.10-3``
    program:  words of the entrypoint; none: the image starts nothing by itself
    """

    folder: Path = Path()
    name: str = ""
    packages: tuple[str, ...] = ()
    platforms: tuple[str, ...] = PLATFORMS
    program: tuple[str, ...] = ()


class RecipeWritten(msgspec.Struct, frozen=True, kw_only=True):
    """What ``init`` wrote. next: the command that builds it."""

    file: str
    name: str
    platforms: tuple[str, ...]
    packages: tuple[str, ...]
    next: str


def default_name(folder: Path) -> str:
    """The folder's name, if a recipe may be called so; otherwise none."""
    name = folder.resolve().name.lower()
    return name if matches(RECIPE_NAME.pattern, name) else ""


def start_recipe(wanted: NewRecipe, archives: OpenArchives | None) -> RecipeWritten:
    """Write ``homeport.yaml``. Raises ``UsageError`` if it is there, and what ``add`` raises.

    archives: is asked whether there are such packages; ``None``: that is not checked
    """
    path = wanted.folder / FILE_NAME
    if path.is_symlink() or path.exists():
        raise UsageError(
            f"{path} exists already",
            hint=f"homeport add PACKAGE --recipe {shell_path(f'{wanted.folder}/')}",
        )
    name = wanted.name or default_name(wanted.folder)
    if not matches(RECIPE_NAME.pattern, name):
        what = f"invalid recipe name {name!r}" if name else "the folder's name is no recipe name"
        raise UsageError(what, hint="name it with --name, such as --name my-tools")
    packages = tuple(dict.fromkeys(map(check_entry, wanted.packages)))
    platforms = tuple(map(str, parse_platforms(wanted.platforms) or ALL_PLATFORMS))
    data = _text(name, packages, platforms, wanted.program).encode()
    recipe = check_loaded(load_recipe(path, current_catalog(), data=data))
    check_place(path)
    if archives is not None:
        check_known(recipe, recipe.packages, archives)
    write_file(path, data)
    return RecipeWritten(
        file=str(path),
        name=name,
        platforms=platforms,
        packages=packages,
        next=lock_command(path).replace(" lock ", " build "),
    )


def _text(
    name: str, packages: Sequence[str], platforms: Sequence[str], program: Sequence[str]
) -> str:
    lines = [
        "# What is in the image; all fields: homeport docs recipe",
        "homeport: 1",
        f"name: {name}",
        f"platforms: [{', '.join(platforms)}]",
        "packages:" if packages else "packages: []",
        *(f"  - {package}" for package in packages),
    ]
    if program:
        words = ", ".join(json.dumps(word) for word in program)
        lines += ["config:", f"  entrypoint: [{words}]"]
    return "\n".join([*lines, ""])
