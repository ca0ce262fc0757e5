"""Options of commands that read a recipe, or packages as a recipe does."""

from __future__ import annotations

from pathlib import Path

import click

_CATALOG = "homeport.catalog"


def _keep_catalog(context: click.Context, _parameter: click.Parameter, value: str) -> None:
    context.meta[_CATALOG] = value


def catalog_of(context: click.Context) -> str:
    """The catalog that the user names; empty: none."""
    found = context.meta.get(_CATALOG, "")
    return found if isinstance(found, str) else ""


catalog_option = click.option(
    "--catalog",
    metavar="DIR",
    default="",
    envvar="HOMEPORT_CATALOG",
    expose_value=False,
    callback=_keep_catalog,
    help="Look up recipes and slices in this catalog first.  [default: those that ship with"
    " Homeport]",
)
allow_outside_option = click.option(
    "--allow-outside",
    multiple=True,
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    metavar="DIR",
    help="Let the recipe name files of this directory, outside its own folder. Repeatable.",
)
mirrors_option = click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="[ARCHIVE=]URL",
    help="Use only this mirror: an http, https or file URL, or a directory. Repeatable.",
)
