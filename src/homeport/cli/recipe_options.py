"""Options of commands that read a recipe, or packages as a recipe does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

_CATALOG = "homeport.catalog"


class NamedCatalog(NamedTuple):
    """What the options say. written: empty: no catalog is named"""

    written: str = ""
    policy: Path | None = None


def catalog_of(context: click.Context) -> NamedCatalog:
    """The catalog that the user names."""
    found = context.meta.get(_CATALOG)
    return found if isinstance(found, NamedCatalog) else NamedCatalog()


def catalog_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--catalog`` and ``--catalog-policy``, which the command itself does not see."""
    for decorate in reversed(_CATALOG_OPTIONS):
        function = decorate(function)
    return function


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    field = "policy" if parameter.name == "catalog_policy" else "written"
    context.meta[_CATALOG] = catalog_of(context)._replace(**{field: value})


_CATALOG_OPTIONS = (
    click.option(
        "--catalog", metavar="DIR|REF|URL@COMMIT", default="", envvar="HOMEPORT_CATALOG",
        expose_value=False, callback=_keep,
        help="Look up recipes and slices in this folder, artifact (docker://REGISTRY/NAME:TAG) or"
        " git repository first.  [default: those that ship with Homeport]",
    ),
    click.option(
        "--catalog-policy", type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE", envvar="HOMEPORT_CATALOG_POLICY", expose_value=False, callback=_keep,
        help="Use a catalog of a registry only if this signature policy requires and finds a"
        " signature.  [default: signatures are not verified]",
    ),
)  # fmt: skip
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
