"""``homeport diff``: the differences of two images, tags or platforms."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from homeport.cli.copying_options import platform_option
from homeport.cli.diff_text import comparison_text
from homeport.cli.explorer import explore_two
from homeport.cli.options import Session, common
from homeport.errors import AnswerNo, UsageError
from homeport.oci.platform import parse_platforms


@click.command(
    name="diff",
    epilog="""\b
Examples:
  homeport diff docker://registry.example/app:1.2 docker://registry.example/app:1.3
  homeport diff oci:./app docker://registry.example/app:1.3 --exit-code
  homeport diff oci:./app --platform linux/amd64,linux/arm64
  homeport diff oci:./app oci:./new --html diff.html
  homeport diff oci:./app oci:./new -i
""",
)
@click.argument("image")
@click.argument("other", required=False)
@platform_option
@click.option("--times", is_flag=True, help="Include files that differ only in time.")
@click.option("--no-text", is_flag=True, help="Leave out line-by-line differences of text files.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the comparison as an HTML page, too.",
)
@click.option(
    "-i", "--interactive", is_flag=True, help="Open the interactive explorer, both side by side."
)
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit with 3 if anything differs.")
@common
def command(
    session: Session,
    *,
    image: str,
    other: str | None,
    platforms: tuple[str, ...],
    times: bool,
    no_text: bool,
    html: Path | None,
    interactive: bool,
    exit_code: bool,
) -> None:
    """Compare two images, or two platforms of one image.

    Packages, configuration, files and layers of IMAGE and OTHER are compared for each
    platform, and the bills of materials (SBOM) attached to them. Without OTHER, two
    platforms of IMAGE are compared with each other.
    """
    wanted = parse_platforms(platforms)
    if interactive:
        given = [name for name, on in (("--times", times), ("--no-text", no_text),
                 ("--html", html), ("--exit-code", exit_code)) if on]  # fmt: skip
        if given:
            raise UsageError(f"options cannot be combined: --interactive; {', '.join(given)}")
        explore_two(session, (image, other), wanted)
        return
    with session.app() as app:
        found = app.diff(image, other, platforms=wanted, times=times, text=not no_text, html=html)
    session.output.write(
        {**msgspec.to_builtins(found), "same": found.same},
        comparison_text(found, session.screen, verbose=bool(session.verbose)),
        quiet_text="same" if found.same else "different",
    )
    if exit_code and not found.same:
        raise AnswerNo("the images differ")
