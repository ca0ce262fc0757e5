"""``homeport init``: a new recipe, from arguments or from questions on a terminal."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.authoring.platform_choices import PLATFORMS
from homeport.cli.options import Session, common
from homeport.cli.recipe_archives import no_check_option
from homeport.cli.recipe_options import catalog_option
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.authoring.starting import NewRecipe, RecipeWritten


@click.command(
    name="init",
    epilog="""\b
Examples:
  homeport init                               asks, on a terminal
  homeport init curl ca-certificates --name fetch --program /usr/bin/curl
  homeport init busybox-static_bins --in images/tools --platform linux/amd64,linux/arm64
""",
)
@click.argument("packages", nargs=-1, metavar="[PACKAGE|PACKAGE_SLICE]...")
@click.option(
    "--name", default="", metavar="NAME", help="Name of the image.  [default: the directory's name]"
)
@click.option(
    "--in", "folder", type=click.Path(file_okay=False, path_type=Path), default=".",
    metavar="DIR", help="Write homeport.yaml there.  [default: the working directory]",
)  # fmt: skip
@click.option(
    "--platform", "platforms", multiple=True, metavar="PLATFORM[,…]",
    help=f"Platforms of the image, all or native. Repeatable.  [default: {','.join(PLATFORMS)}]",
)  # fmt: skip
@click.option(
    "--program", default="", metavar="WORDS",
    help="Program that a container starts, with its arguments.  [default: none]",
)  # fmt: skip
@no_check_option
@catalog_option
@common
def command(
    session: Session, *, packages: tuple[str, ...], name: str, folder: Path,
    platforms: tuple[str, ...], program: str, no_check: bool,
) -> None:  # fmt: skip
    """Start a recipe with these packages.

    Writes DIR/homeport.yaml. Without packages it asks for them, on a terminal. 'homeport
    search' finds packages.
    """
    # 200 ms that --help and a TAB save
    from homeport.authoring.starting import NewRecipe

    wanted = NewRecipe(
        folder=folder, name=name, packages=packages, platforms=platforms or PLATFORMS,
        program=_words(program),
    )  # fmt: skip
    if not packages:
        wanted = _asked(wanted)
    with session.app() as app:
        done = app.init_recipe(wanted, check=not no_check)
    session.output.write(
        {"schema": "homeport-init/v1", **msgspec.to_builtins(done)}, _text(done),
        quiet_text=done.file,
    )  # fmt: skip


def _text(done: RecipeWritten) -> str:
    return f"wrote {done.file}\nnext: {done.next}"


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"invalid --program {text!r}: {error}") from error


def _asked(wanted: NewRecipe) -> NewRecipe:
    """What a person answers; the questions go to standard error."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "no packages are given, and there is no terminal to ask on",
            hint="homeport init PACKAGE...",
        )
    # 200 ms that --help and a TAB save
    from homeport.authoring.starting import default_name

    name = wanted.name or default_name(wanted.folder) or None
    name = click.prompt("Name of the image", default=name, err=True)
    packages = click.prompt(
        "Packages or slices, separated by blanks (homeport search WORD finds them)", err=True
    )
    platforms = click.prompt("Platforms", default=",".join(wanted.platforms), err=True)
    program = click.prompt(
        "Program that a container starts (empty: none)", default=" ".join(wanted.program),
        show_default=False, err=True,
    )  # fmt: skip
    return msgspec.structs.replace(
        wanted, name=name.strip(), packages=tuple(packages.replace(",", " ").split()),
        platforms=(platforms,), program=_words(program),
    )  # fmt: skip
