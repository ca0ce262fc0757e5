"""The options of every command that may write a lockfile: versions, mirrors and paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from homeport.cli.recipe_options import mirrors_option
from homeport.locking.update_policy import UpdatePolicy

_OPTIONS = (
    click.option(
        "--update",
        "updates",
        multiple=True,
        metavar="PACKAGE",
        help="Lock the newest version of this package; 'all' for every package. Repeatable.",
    ),
    click.option(
        "--as-of",
        metavar="DATE",
        envvar="HOMEPORT_AS_OF",
        help="Lock no archive state newer than this date, such as 2026-10-30; expiry is judged at"
        " this date too.  [default: now]",
    ),
    mirrors_option,
    click.option(
        "--lockfile",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Lockfile path.  [default: beside the recipe]",
    ),
)


def locking_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options ``updates``, ``as_of``, ``mirrors`` and ``lockfile``."""
    for option in reversed(_OPTIONS):  # as stacked decorators: the last is applied first
        command = option(command)
    return command


def parse_updates(updates: Sequence[str]) -> UpdatePolicy:
    """The packages that the values of ``--update`` allow to change."""
    return UpdatePolicy(all_packages="all" in updates, names=frozenset(updates) - {"all"})
