"""``homeport update``: lock recipes anew, in one commit or one merge request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from homeport.cli.engine_options import engine_option, showing_logs
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option, mirrors_option
from homeport.errors import HomeportError, UsageError

if TYPE_CHECKING:
    from homeport.updating.model import UpdateResult


@click.command(
    name="update",
    epilog="""\b
Examples:
  homeport update                                  # every recipe below this directory
  homeport update ./my/homeport.yaml --dry-run     # what would change
  homeport update images/ --only security --commit
  homeport update images/ --build --request        # one branch, one merge request
""",
)
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "--only",
    type=click.Choice(["all", "security"]),
    default="all",
    show_default=True,
    help="Set what is updated: 'security' keeps all other packages as they are locked.",
)
@click.option(
    "--package",
    "packages",
    multiple=True,
    metavar="NAME",
    help="Resolve the newest version of this package alone. Repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
@click.option(
    "--build",
    is_flag=True,
    help="Build each image before and after, for digests and sizes, and run the recipe's tests.",
)
@click.option("--commit", is_flag=True, help="Make one git commit of all lockfiles.")
@click.option(
    "--request",
    "make_request",
    is_flag=True,
    help="Push one branch and open or change its merge request; HOMEPORT_FORGE_TOKEN has the"
    " token. Without a token the link to open it is printed.",
)
@click.option(
    "--branch",
    default="homeport/update",
    show_default=True,
    metavar="NAME",
    help="Use this branch for the merge request.",
)
@click.option(
    "--remote",
    default="origin",
    show_default=True,
    metavar="NAME",
    help="Push to this remote of the repository.",
)
@click.option(
    "--target",
    default="",
    metavar="BRANCH",
    help="Open the request against this branch.  [default: the remote's default branch]",
)
@click.option(
    "--forge",
    type=click.Choice(["gitlab", "github", "forgejo"]),
    help="Set the kind of forge; 'forgejo' is for Gitea too.  [default: by variables of CI and the"
    " remote's host]",
)
@mirrors_option
@allow_outside_option
@engine_option
@catalog_option
@common
def command(
    session: Session,
    *,
    recipes: tuple[str, ...],
    only: Literal["all", "security"],
    packages: tuple[str, ...],
    dry_run: bool,
    commit: bool,
    make_request: bool,
    branch: str,
    build: bool,
    remote: str,
    target: str,
    forge: Literal["gitlab", "github", "forgejo"] | None,
    mirrors: tuple[str, ...],
    allow_outside: tuple[Path, ...],
    engines: tuple[str, ...],
) -> None:
    """Lock recipes anew, and show what changed and what it fixes.

    A recipe whose update fails keeps its lockfile; the others go on, and the exit code is 1.
    A branch with commits of other people is never overwritten.
    """
    if dry_run and (commit or make_request):
        raise UsageError("--dry-run cannot be combined with --commit or --request")
    if commit and make_request:
        raise UsageError("--commit cannot be combined with --request")
    # 60 ms that --help saves
    from homeport.updating.text import result_text
    from homeport.updating.update import UpdateRequest

    request = UpdateRequest(
        wanted=recipes, only=only, packages=packages, mirrors=mirrors, engines=engines,
        dry_run=dry_run, build=build, commit=commit, request=make_request, branch=branch,
        remote=remote, target=target, forge=forge, allow_outside=allow_outside,
    )  # fmt: skip
    with session.app() as app, showing_logs(session):
        result = app.update(request)
    session.output.write(_document(result), result_text(result))
    if result.failed:
        names = ", ".join(one.name for one in result.failed)
        raise HomeportError(f"could not update {names}")


def _document(result: UpdateResult) -> dict[str, Any]:
    """docs/formats/update.md."""
    return {"schema": "homeport-update/v1", **msgspec.to_builtins(result)}
