"""``homeport pipelines``: jobs that keep images fresh, in the user's own pipeline file."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.pipelines_convert import command as convert
from homeport.cli.recipe_options import catalog_option
from homeport.cli.subcommand import CommandWithSubcommand
from homeport.errors import AnswerNo, UsageError
from homeport.pipelines.request import SYSTEMS, PipelineRequest, System
from homeport.recipe.catalog import is_recipe


@click.command(
    cls=CommandWithSubcommand,
    subcommands=[convert],
    name="pipelines",
    epilog="""\b
Examples:
  homeport pipelines gitlab images/ --image registry.example/ci/homeport:1 \\
      --repository registry.example/team
  homeport pipelines github . --image registry.example/ci/homeport:1
  homeport pipelines gitlab images/ --image registry.example/ci/homeport:1 --check
  homeport pipelines systemd images/
  homeport pipelines convert .travis.yml --output new/
""",
)
@click.argument("system", type=click.Choice(SYSTEMS))
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "--image",
    default="",
    metavar="IMAGE",
    help="Run the jobs in this image, with Homeport and git.  [default: none; cron and systemd"
    " need none]",
)
@click.option(
    "--repository",
    default="",
    metavar="REPOSITORY",
    help="Publish to this repository on the default branch.  [default: no job publishes]",
)
@click.option(
    "--sign",
    is_flag=True,
    help="Sign what is published for the identity of the job (GitLab.com and GitHub).",
)
@click.option(
    "--stage",
    default="",
    metavar="STAGE",
    help="Put GitLab's jobs into this stage.  [default: test, or the file's first without it]",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to this file.  [default: the one that the system reads]",
)
@click.option(
    "--check", is_flag=True, help="Exit with 3 if the file is out of date; write nothing."
)
@catalog_option
@common
def command(
    session: Session, *, system: System, recipes: tuple[str, ...],
    image: str, repository: str, sign: bool, stage: str, file: Path | None, check: bool,
) -> None:  # fmt: skip
    """Write jobs that check, update, build and publish images.

    They stand between two marker lines of your own file; the rest of it stays as it is.
    'homeport pipelines convert FILE' carries another system's pipeline over.
    """
    request = PipelineRequest(
        system=system, recipes=recipes or (".",), image=image, repository=repository,
        sign=sign, stage=stage, file=file, check=check,
    )  # fmt: skip
    with session.app() as app:
        for name in recipes:
            if not (Path(name).exists() or is_recipe(name)):
                raise UsageError(
                    f"{name}: neither a recipe of the catalog, nor a file or folder here",
                    hint="name recipes, or folders with recipes, such as images/",
                )
        done = app.pipelines(request)
    are = "are" if done.others else "is"
    state = f"{are} up to date" if done.current else f"{are} out of date" if check else "written"
    session.output.write(
        {"schema": "homeport-pipelines/v1", **msgspec.to_builtins(done)},
        f"{' and '.join((done.file, *done.others))} {state}",
    )
    if check and not done.current:
        raise AnswerNo(
            f"{done.file} is not as it would be written",
            hint="run the same command without --check to write it",
        )
