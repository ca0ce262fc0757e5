"""``homeport test``: the tests of a recipe, on every platform of an image."""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option, mirrors_option
from homeport.errors import AnswerNo
from homeport.oci.platform import parse_platforms
from homeport.quantities import counted


@click.command(
    name="test",
    epilog="""\b
Examples:
  homeport test ./my/homeport.yaml                      # builds it, then runs its tests
  homeport test registry.example/team/tool:1.2 --tests ./my/homeport.yaml
  homeport test oci:tool.oci --tests structure.yaml --junit junit.xml
""",
)
@click.argument("subject", metavar="IMAGE|RECIPE")
@click.option(
    "--tests",
    multiple=True,
    metavar="FILE",
    help="Read tests of this recipe or container-structure-test file. Repeatable.",
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="PLATFORM[,…]",
    help="Test these platforms alone, all or native. Repeatable.  [default: all]",
)
@click.option("--no-run", is_flag=True, help="Do not run commands.")
@click.option(
    "--require-run", is_flag=True, help="Fail if a command could not be run on this machine."
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a JUnit report.  [default: none]",
)
@mirrors_option
@allow_outside_option
@catalog_option
@common
def command(
    session: Session,
    *,
    subject: str,
    tests: tuple[str, ...],
    platforms: tuple[str, ...],
    no_run: bool,
    require_run: bool,
    junit: Path | None,
    mirrors: tuple[str, ...],
    allow_outside: tuple[Path, ...],
) -> None:
    """Test an image, or a recipe, on every platform, without a daemon.

    Files, packages and config are looked at on every platform. Commands run on those that this
    machine runs, itself or by qemu-user; elsewhere they are "not run", never "passed". Exit code
    3: a test failed.
    """
    # 60 ms that --help saves
    from homeport.imagetests.results import results_document, results_text
    from homeport.imagetests.run import ImageTestRequest

    wanted = parse_platforms(platforms) or ()
    request = ImageTestRequest(
        subject=subject, tests=tests, platforms=tuple(wanted), run=not no_run, mirrors=mirrors,
        allow_outside=allow_outside,
    )  # fmt: skip
    with session.app() as app:
        tested = app.test(request, junit)
    session.output.write(results_document(tested), results_text(tested))
    if tested.failed:
        raise AnswerNo(f"{counted(len(tested.failed), 'test')} failed")
    if require_run and tested.not_run:
        raise AnswerNo(f"not run: {counted(len(tested.not_run), 'test')}")
