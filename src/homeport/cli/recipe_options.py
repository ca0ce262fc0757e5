"""Options of commands that read a recipe, or packages as a recipe does."""

from __future__ import annotations

from pathlib import Path

import click

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
