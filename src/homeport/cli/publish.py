"""``homeport publish``: build, push, test from the registry, then name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from homeport.cli.engine_options import engine_option, showing_logs
from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option, mirrors_option
from homeport.cli.registry_options import registry_options
from homeport.cli.signing_options import ask_password
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.publishing.publish import Published
    from homeport.registry.access import RegistryAccess


@click.command(
    name="publish",
    epilog="""\b
Examples:
  homeport publish ./my/homeport.yaml registry.example/team/tool --version 1.2
  homeport publish curl git registry.example/team     # team/curl and team/git
  homeport publish images/ registry.example/team      # every recipe below images/
""",
)
@click.argument("names", nargs=-1, required=True, metavar="RECIPE... REPOSITORY")
@click.option(
    "--version",
    "version",
    default="",
    metavar="VERSION",
    help="Use this version, one or two numbers.  [default: the recipe's label"
    " org.opencontainers.image.version]",
)
@click.option(
    "--tag-form",
    "form",
    type=click.Choice(["version", "hyphen"]),
    default="version",
    show_default=True,
    help="Write dated tags as 1.2.2026112800 or as 1.2-20261128.",
)
@click.option("--no-test", is_flag=True, help="Do not run the recipe's tests.")
@click.option(
    "--key", metavar="KEY", help="Sign with this key before anything is named.  [default: none]"
)
@click.option(
    "--sign",
    is_flag=True,
    help="Sign for the identity of a CI job before anything is named.  [default: with --key alone]",
)
@mirrors_option
@allow_outside_option
@engine_option
@registry_options
@catalog_option
@common
def command(
    session: Session,
    *,
    names: tuple[str, ...],
    version: str,
    form: Literal["version", "hyphen"],
    no_test: bool,
    key: str | None,
    sign: bool,
    mirrors: tuple[str, ...],
    allow_outside: tuple[Path, ...],
    engines: tuple[str, ...],
    access: RegistryAccess,
) -> None:
    """Build images from lockfiles, push them, test them, then name them.

    Each gets a dated tag that never moves, with the date of its lockfile's archive state, then
    the tags that move (1.2, 1, latest). The same again does nothing; another image of the same
    day gets the next number. If a test fails, no tag moves. Of several recipes one that fails
    does not stop the others; the exit code is 1 then, or 3 if a test failed.
    """
    if len(names) < 2:
        raise UsageError("name recipes and a repository: homeport publish RECIPE REPOSITORY")
    # 60 ms that --help saves
    from homeport.publishing.publish import PublishRequest

    request = PublishRequest(
        recipes=names[:-1], repository=names[-1], version=version, form=form, test=not no_test,
        sign=sign or key is not None, mirrors=mirrors, engines=engines, allow_outside=allow_outside,
    )  # fmt: skip
    with session.app() as app, showing_logs(session):
        done = app.publish(request, access=access, key=key, ask_password=ask_password())
    document = {"schema": "homeport-publish/v1", "images": msgspec.to_builtins(done)}
    session.output.write(document, "\n".join(map(_line, done)))
    failed = [one for one in done if one.error is not None]
    if failed:
        what = f"could not publish {', '.join(one.recipe for one in failed)}"
        no = any(one.error and one.error["exit_code"] == AnswerNo.exit_code for one in failed)
        raise AnswerNo(what) if no else HomeportError(what)


def _line(one: Published) -> str:
    if one.error is not None:
        hint = f" ({one.error['hint']})" if one.error.get("hint") else ""
        return f"{printable(one.recipe)}: failed: {printable(one.error['what'])}{printable(hint)}"
    return (
        f"{one.repository}:{one.tag}  {one.digest}  "
        + (f"moved {', '.join(one.moved)}" if one.outcome == "published" else "unchanged")
        + (f", {one.tests} tests" if one.tests else "")
        + (f", {one.not_run} not run" if one.not_run else "")
    )
