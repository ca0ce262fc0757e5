"""``homeport catalog``: what ships with Homeport and can be built by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.recipe_archives import recipe_option
from homeport.cli.recipe_options import catalog_option
from homeport.cli.registry_options import registry_options
from homeport.cli.screen import Column, Screen
from homeport.cli.show import tell
from homeport.cli.subcommand import CommandGroup
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.content.digest import Digest
    from homeport.images.address import Address
    from homeport.recipe.lock.model import Lockfile
    from homeport.recipe.model import Recipe
    from homeport.registry.access import RegistryAccess

_RECIPES = (
    Column(name="name"),
    Column(name="platforms", right=True, drop=1),
    Column(name="summary", least=24),
)
_LOCKED = (
    Column(name="package", least=16),
    Column(name="version", least=12),
    Column(name="platforms", least=12),
)

_SLICES = (
    Column(name="slice", least=24),
    Column(name="paths", right=True),
    Column(name="needs", least=24, drop=1),
)


@click.group(cls=CommandGroup, name="catalog")
def command() -> None:
    """List, show and push recipes and slices of a catalog."""


@command.command(name="list", epilog="Example:  homeport catalog list")
@catalog_option
@common
def list_(session: Session) -> None:
    """List the recipes that ship with Homeport."""
    with session.app() as app:
        recipes = app.catalog()
    document = {
        "schema": "homeport-catalog/v1",
        "recipes": [
            {
                "name": recipe.name,
                "summary": recipe.summary,
                "file": str(recipe.path),
                "platforms": list(map(str, recipe.platforms)),
            }
            for recipe in recipes
        ],
    }
    rows = [(recipe.name, str(len(recipe.platforms)), recipe.summary) for recipe in recipes]
    closing = f"{counted(len(recipes), 'recipe')}; to show one: homeport catalog show NAME"
    session.output.write(
        document,
        f"{session.screen.table(_RECIPES, rows)}\n\n{closing}",
        quiet_text="\n".join(recipe.name for recipe in recipes),
    )


@command.command(epilog="Example:  homeport catalog show dockerfile-copy")
@click.argument("name")
@click.option("--recipe", "as_recipe", is_flag=True, help="Print the recipe file itself.")
@catalog_option
@common
def show(session: Session, name: str, as_recipe: bool) -> None:
    """Show what recipe NAME is made of and which packages are locked."""
    with session.app() as app:
        found = app.catalog_recipe(name)
    if as_recipe and session.format == "text" and not session.quiet:
        tell(f"its files lie beside it: to change it, write a recipe with: extends: {name}")
    text = found.text if as_recipe else _describe(found.recipe, found.lockfile, session.screen)
    session.output.write(_document(found.recipe, found.lockfile), text.rstrip("\n"))


@command.command(
    epilog="""\b
Examples:
  homeport catalog push ./catalog docker://registry.example/team/catalog:1.0
  homeport build base --catalog docker://registry.example/team/catalog:1.0
"""
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("destination")
@registry_options
@common
def push(session: Session, folder: Path, destination: str, access: RegistryAccess) -> None:
    """Write the catalog in FOLDER to DESTINATION, as an artifact.

    Recipes and slices are checked first. The same files give the same digest. Hidden files are
    left out.
    """
    with session.app() as app:
        written = app.push_catalog(folder, destination, access)
    session.output.write(
        {
            "schema": "homeport-catalog-push/v1",
            "folder": str(folder),
            "destination": str(written.address),
            "digest": str(written.digest),
            "catalog": _pinned(written.address, written.digest),
        },
        _pinned(written.address, written.digest),
    )


@command.command(
    epilog="""\b
Examples:
  homeport catalog slices
  homeport catalog slices libc6 --recipe images/tools
"""
)
@click.argument("package", default="")
@recipe_option
@catalog_option
@common
def slices(session: Session, package: str, recipe: str) -> None:
    """List the slices that a recipe may name, of all packages or of PACKAGE."""
    with session.app() as app:
        found = app.slices(package, recipe=recipe)
    rows = [(str(each.reference), str(len(each.paths)), ", ".join(each.needs)) for each in found]
    packages = len({each.package for each in found})
    lines = [session.screen.table(_SLICES, rows)]
    if package:
        lines += ["", *(f"{each.reference}  {path}" for each in found for path in each.paths)]
    session.output.write(
        {"schema": "homeport-slices/v1", "slices": msgspec.to_builtins(found)},
        "\n".join([*lines, "", f"{counted(len(found), 'slice')} of {counted(packages, 'package')};"
                   f" to use one: homeport add {found[0].reference}"]) if found else "no slices",
        quiet_text="\n".join(str(each.reference) for each in found),
    )  # fmt: skip


def _pinned(address: Address, digest: Digest) -> str:
    """What ``--catalog`` takes for exactly what was written."""
    # 20 ms that catalog list saves
    from homeport.images.address import RegistryAddress, pinned

    prefix = "docker://" if isinstance(address, RegistryAddress) else ""
    return f"{prefix}{pinned(address, digest)}"


def _document(recipe: Recipe, lockfile: Lockfile | None) -> dict[str, Any]:
    return {
        "schema": "homeport-catalog-recipe/v1",
        "name": recipe.name,
        "summary": recipe.summary,
        "file": str(recipe.path),
        "platforms": list(map(str, recipe.platforms)),
        "packages": [
            {"name": choice.name, "slices": list(choice.slices)} for choice in recipe.packages
        ],
        "files": [files.to for files in recipe.files],
        "entrypoint": list(recipe.config.entrypoint),
        "locked": lockfile
        and {
            "date": lockfile.date,
            "packages": {
                str(platform): {package.name: package.version for package in packages}
                for platform, packages in lockfile.platforms.items()
            },
        },
    }


def _describe(recipe: Recipe, lockfile: Lockfile | None, screen: Screen) -> str:
    chosen = [
        choice.name if choice.whole else ", ".join(f"{choice.name}_{s}" for s in choice.slices)
        for choice in recipe.packages
    ]
    lines = [
        f"{recipe.name}: {recipe.summary}",
        "",
        f"recipe      {recipe.path}",
        f"platforms   {', '.join(map(str, recipe.platforms))}",
        f"entrypoint  {' '.join(recipe.config.entrypoint)}",
        f"packages    {', '.join(chosen)}",
        f"files       {', '.join(files.to for files in recipe.files)}",
    ]
    if lockfile is None:
        return "\n".join([*lines, "", "not locked yet"])
    lines += ["", f"locked from archives of {lockfile.date:%Y-%m-%d}:", ""]
    versions: dict[tuple[str, str], list[str]] = {}
    for platform, packages in lockfile.platforms.items():
        for package in packages:
            versions.setdefault((package.name, package.version), []).append(str(platform))
    rows = [
        (name, version, "all" if len(on) == len(lockfile.platforms) else ", ".join(on))
        for (name, version), on in sorted(versions.items())
    ]
    return "\n".join([*lines, screen.table(_LOCKED, rows)])
