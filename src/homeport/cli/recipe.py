"""``homeport recipe``: check a recipe, or print the schema that editors complete with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option


@click.group(name="recipe")
def command() -> None:
    """Check a recipe, or print the JSON Schema for editors."""


@command.command(
    epilog="""\b
Examples:
  homeport recipe check                     ./homeport.yaml
  homeport recipe check ./my/homeport.yaml
"""
)
@click.argument("recipe", default="./homeport.yaml")
@allow_outside_option
@common
def check(session: Session, recipe: str, allow_outside: tuple[Path, ...]) -> None:
    """Check a recipe and its slices, without the network.

    RECIPE is a recipe file, its directory, or a name of the catalog.  [default:
    ./homeport.yaml] All errors are reported at once.
    """
    with session.app() as app:
        found = app.check_recipe(recipe, allow_outside=allow_outside)
    document = {
        "schema": "homeport-recipe-check/v1",
        "name": found.name,
        "file": str(found.path),
        "platforms": list(map(str, found.platforms)),
    }
    session.output.write(document, f"{found.path}: {found.name}: valid")


@command.command(
    epilog="""\b
Examples:
  homeport recipe schema > homeport.schema.json
  homeport recipe schema --slices > slices.schema.json
then, as the first line of a recipe:
  # yaml-language-server: $schema=homeport.schema.json
"""
)
@click.option("--slices", is_flag=True, help="Print the schema of slice files.")
@common
def schema(session: Session, slices: bool) -> None:
    """Print the JSON Schema of recipes."""
    with session.app() as app:
        click.echo(json.dumps(app.recipe_schema(slices=slices), indent=2))
