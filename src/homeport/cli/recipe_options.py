"""The option of every command that reads a recipe."""

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
