"""``homeport diff``: the differences of two images, tags or platforms."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from homeport.cli.copying_options import platform_option
from homeport.cli.diff_text import comparison_text
from homeport.cli.options import Session, common
from homeport.errors import AnswerNo
from homeport.oci.platform import parse_platforms


@click.command(
    name="diff",
    epilog="""\b
Examples:
  homeport diff docker://registry.example/app:1.2 docker://registry.example/app:1.3
  homeport diff oci:./app docker://registry.example/app:1.3 --exit-code
  homeport diff oci:./app --platform linux/amd64,linux/arm64
  homeport diff oci:./app oci:./new --html diff.html
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
    exit_code: bool,
) -> None:
    """Compare two images, or two platforms of one image.

    Packages, configuration, files and layers of IMAGE and OTHER are compared for each
    platform, and the bills of materials (SBOM) attached to them. Without OTHER, two
    platforms of IMAGE are compared with each other.
    """
    wanted = parse_platforms(platforms)
    with session.app() as app:
        found = app.diff(image, other, platforms=wanted, times=times, text=not no_text, html=html)
    session.output.write(
        {**msgspec.to_builtins(found), "same": found.same},
        comparison_text(found, session.screen, verbose=bool(session.verbose)),
        quiet_text="same" if found.same else "different",
    )
    if exit_code and not found.same:
        raise AnswerNo("the images differ")
