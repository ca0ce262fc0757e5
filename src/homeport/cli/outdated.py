"""``homeport outdated``: what is newer than lockfiles and images, and what it fixes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from homeport.cli.options import Session, common
from homeport.cli.recipe_options import allow_outside_option, catalog_option, mirrors_option
from homeport.errors import AnswerNo, HomeportError, OutOfDate
from homeport.oci.platform import Platform, parse_platforms

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    name="outdated",
    epilog="""\b
Examples:
  homeport outdated                                  # every recipe below this directory
  homeport outdated ./my/homeport.yaml               # exit code 4 if something is newer
  homeport outdated images/ --fail-on security --max-age 30
  homeport outdated registry.example/team/tool:1.2   # a published image, by its packages
  homeport outdated ./my/homeport.yaml --effective   # does any file of the image change?
  homeport outdated images/ --code-quality gl.json --junit junit.xml --metrics outdated.prom
  homeport outdated images/ --html outdated.html     # a page for people, without network
""",
)
@click.argument("subjects", nargs=-1, metavar="[SUBJECT]...")
@click.option(
    "--fail-on",
    type=click.Choice(["any", "security", "eol", "never"]),
    default="any",
    show_default=True,
    help="Set what counts as outdated for the exit code.",
)
@click.option(
    "--max-age",
    type=click.IntRange(0),
    metavar="N",
    help="Exit with 3 if a lockfile's or image's archive state is older than N days.  [default:"
    " any age]",
)
@click.option(
    "--effective", is_flag=True, help="Resolve anew, and list what would change in the image."
)
@click.option(
    "--no-changelogs",
    is_flag=True,
    help="Read indexes only: quick, and without ids; security by the suite alone.",
)
@click.option(
    "--tracker",
    default="",
    metavar="FILE|URL",
    help="List what a security tracker knows, too: Debian's JSON, OSV's zip, or debsecan's file.",
)
@click.option(
    "--like",
    default="",
    metavar="RECIPE",
    help="Take the archives of images from this recipe.  [default: Debian's]",
)
@click.option(
    "--no-inputs",
    is_flag=True,
    help="Do not ask about images, commits and files that recipes name, nor what copies are of.",
)
@click.option(
    "--index",
    default="",
    metavar="URL",
    help="Ask this index of Python packages for a newer Homeport.  [default: none is asked]",
)
@mirrors_option
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Write the JSON report.")
@click.option("--code-quality", type=_FILE, metavar="FILE", help="Write GitLab's Code Quality.")
@click.option("--sarif", type=_FILE, metavar="FILE", help="Write SARIF 2.1.0.")
@click.option("--junit", type=_FILE, metavar="FILE", help="Write a JUnit report.")
@click.option(
    "--metrics", type=_FILE, metavar="FILE", help="Write metrics for Prometheus (*.prom)."
)
@click.option("--badge", type=_FILE, metavar="FILE", help="Write an SVG badge.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write the report as one HTML page.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="PLATFORM[,…]",
    help="Check images of these platforms, all or native. Repeatable."
    "  [default: this machine's, else the first]",
)
@allow_outside_option
@catalog_option
@common
def command(
    session: Session,
    *,
    subjects: tuple[str, ...],
    fail_on: Literal["any", "security", "eol", "never"],
    max_age: int | None,
    effective: bool,
    no_changelogs: bool,
    tracker: str,
    like: str,
    no_inputs: bool,
    index: str,
    mirrors: tuple[str, ...],
    json_file: Path | None,
    code_quality: Path | None,
    sarif: Path | None,
    junit: Path | None,
    metrics: Path | None,
    badge: Path | None,
    html: Path | None,
    platforms: tuple[str, ...],
    allow_outside: tuple[Path, ...],
) -> None:
    """Show what is newer than lockfiles and images, and what it fixes.

    A SUBJECT is a recipe, a lockfile, a directory of recipes, or the address of a Debian image,
    published or not. Nothing is written. Exit codes: 0 all was checked and nothing is newer,
    4 something is newer, 1 not everything could be checked, 3 a rule is broken (--max-age, end
    of support).
    """
    # 30 ms that --help saves
    from homeport.freshness.outdated import OutdatedRequest, exit_code
    from homeport.freshness.report.json import report_document
    from homeport.freshness.report.results import update_word
    from homeport.freshness.report.text import report_text
    from homeport.freshness.report.writing import OutdatedFiles

    request = OutdatedRequest(
        wanted=subjects,
        mirrors=mirrors,
        changelogs=not no_changelogs,
        effective=effective,
        tracker=tracker,
        max_age=max_age,
        like=like,
        platforms=_platforms(platforms),
        inputs=not no_inputs,
        index=index,
        allow_outside=allow_outside,
    )
    files = OutdatedFiles(
        json=json_file, code_quality=code_quality, sarif=sarif, junit=junit, metrics=metrics,
        badge=badge, html=html,
    )  # fmt: skip
    with session.app() as app:
        report = app.outdated(request, files)
    screen = session.screen
    text = report_text(report, verbose=session.verbose > 0, width=screen.width, paint=screen.styled)
    session.output.write(report_document(report), text)
    match exit_code(report, fail_on):
        case 3:
            raise AnswerNo("a rule is broken")
        case 4:
            newer = list(filter(None, map(update_word, report.subjects)))
            command = " ".join(["homeport update", *(newer if subjects else ())])
            hint = f"lock what is newer: {command}" if newer else None
            raise OutOfDate("something is newer", hint=hint)
        case 1:
            raise HomeportError("not everything could be checked")


def _platforms(texts: tuple[str, ...]) -> tuple[Platform, ...] | None:
    """Those named, ``None`` for all; none named: the image's own choice."""
    found = parse_platforms(texts)
    return tuple(found) if found is not None else None if texts else ()
