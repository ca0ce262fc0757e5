"""``homeport catalog``: what ships with Homeport and can be built by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from homeport.cli.options import Session, common
from homeport.cli.screen import Column, Screen
from homeport.cli.show import tell
from homeport.quantities import counted

if TYPE_CHECKING:
    from homeport.recipe.lock.model import Lockfile
    from homeport.recipe.model import Recipe

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


@click.group(name="catalog")
def command() -> None:
    """List and show the recipes of the catalog."""


@command.command(name="list", epilog="Example:  homeport catalog list")
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
@common
def show(session: Session, name: str, as_recipe: bool) -> None:
    """Show what recipe NAME is made of and which packages are locked."""
    with session.app() as app:
        found = app.catalog_recipe(name)
    if as_recipe and session.format == "text" and not session.quiet:
        tell(f"its files lie beside it: to change it, write a recipe with: extends: {name}")
    text = found.text if as_recipe else _describe(found.recipe, found.lockfile, session.screen)
    session.output.write(_document(found.recipe, found.lockfile), text.rstrip("\n"))


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
