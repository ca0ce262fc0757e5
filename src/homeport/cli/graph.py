"""``homeport graph``: which recipe needs which, and what they share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option


@click.command(
    name="graph",
    epilog="""\b
Examples:
  homeport graph                                         # every recipe below this directory
  homeport graph images/ --format dot | dot -Tsvg > images.svg
  homeport graph images/ --format mermaid
  homeport graph images/ --repository registry.example/team   # also layers that they share
""",
)
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "--repository",
    default="",
    metavar="REPOSITORY",
    help="Images are published as REPOSITORY/NAME: compare their layers.  [default: do not read"
    " images; one whose repository ends in a recipe's name is taken as that recipe's]",
)
@allow_outside_option
@catalog_option
@partial(common, formats=("dot", "mermaid"))
def command(
    session: Session,
    *,
    recipes: tuple[str, ...],
    repository: str,
    allow_outside: tuple[Path, ...],
    chosen: str,
) -> None:
    """Show which recipe needs which, and what they share.

    In the order of updates. A RECIPE may be a folder: all recipes below it. No package is
    fetched and nothing is written.
    """
    # 40 ms that --help saves
    from homeport.freshness.report.graph import (
        graph_document,
        graph_dot,
        graph_mermaid,
        graph_text,
    )

    with session.app() as app:
        graph = app.graph(recipes, repository=repository, allow_outside=allow_outside)
    if chosen in ("dot", "mermaid"):
        session.output.write_text(graph_dot(graph) if chosen == "dot" else graph_mermaid(graph))
        return
    session.output.write(graph_document(graph), graph_text(graph))
