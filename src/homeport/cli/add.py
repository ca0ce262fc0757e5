"""``homeport add``: packages and slices into a recipe, whose comments stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.recipe_archives import no_check_option
from homeport.cli.recipe_options import catalog_option

if TYPE_CHECKING:
    from homeport.authoring.adding import PackagesAdded


@click.command(
    name="add",
    epilog="""\b
Examples:
  homeport add curl                        to ./homeport.yaml
  homeport add libc6_libs busybox/trixie-backports --recipe images/tools
""",
)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE|PACKAGE_SLICE...")
@click.option(
    "--recipe", default=".", metavar="RECIPE",
    help="A recipe file or its directory.  [default: the working directory]",
)  # fmt: skip
@no_check_option
@catalog_option
@common
def command(session: Session, *, packages: tuple[str, ...], recipe: str, no_check: bool) -> None:
    """Add packages or slices to a recipe.

    Its comments and its order stay as they are. A package is written as in a recipe:
    NAME, NAME_SLICE, NAME=VERSION or NAME/SUITE.
    """
    with session.app() as app:
        done = app.add_packages(packages, recipe, check=not no_check)
    session.output.write(
        {"schema": "homeport-add/v1", **msgspec.to_builtins(done)}, _text(done),
        quiet_text=done.file,
    )  # fmt: skip


def _text(done: PackagesAdded) -> str:
    lines = [f"{done.file}: added {', '.join(done.added)}"] if done.added else []
    lines += [f"{done.file}: has {', '.join(done.present)} already"] if done.present else []
    return "\n".join([*lines, f"next: {done.next}"] if done.added else lines)
