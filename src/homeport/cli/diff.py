"""``homeport diff``: what differs between two images, tags, platforms, or a layout and its twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import platform_option, read_platforms
from homeport.cli.inspect import services_of
from homeport.cli.options import Session, common

if TYPE_CHECKING:
    from homeport.app import App
    from homeport.images.image import Image, Index
    from homeport.inspection.report.compare_images import Comparison
    from homeport.oci.platform import Platform


@click.command(
    name="diff",
    epilog="""\b
Examples:
  homeport diff docker://registry.example/app:1.2 docker://registry.example/app:1.3
  homeport diff oci:./app docker://registry.example/app:1.3 --exit-code
  homeport diff oci:./app --platform linux/amd64,linux/arm64
""",
)
@click.argument("image")
@click.argument("other", required=False)
@platform_option
@click.option("--times", is_flag=True, help="Differences in time alone count too.")
@click.option("--no-text", is_flag=True, help="No line-by-line differences of text files.")
@click.option("--exit-code", "exit_code", is_flag=True, help="Exit 3 if anything differs.")
@common
def command(
    session: Session,
    *,
    image: str,
    other: str | None,
    platforms: tuple[str, ...],
    times: bool,
    no_text: bool,
    exit_code: bool,
) -> None:
    """Compare IMAGE with OTHER: packages, config, files and layers, platform by platform.

    Without OTHER, two platforms of one image are compared: what one has and the other has not.
    """
    import msgspec

    from homeport.cli.diff_text import comparison_text
    from homeport.errors import AnswerNo, UsageError

    wanted = read_platforms(platforms)
    if other is None and (wanted is None or len(wanted) != 2):
        raise UsageError(
            "name two images, or two platforms of one",
            hint="homeport diff IMAGE --platform linux/amd64,linux/arm64",
        )
    with session.app() as app:
        found = _compare(app, image, other, wanted, times=times, text=not no_text)
    session.output.write(
        {**msgspec.to_builtins(found), "same": found.same},
        comparison_text(found, verbose=bool(session.verbose)),
        quiet_text="same" if found.same else "different",
    )
    if exit_code and not found.same:
        raise AnswerNo("the images differ")


def _compare(
    app: App,
    image: str,
    other: str | None,
    wanted: list[Platform] | None,
    *,
    times: bool,
    text: bool,
) -> Comparison:
    from homeport.inspection.report import compare_images

    services = services_of(app)
    with app.open_image(image) as one:
        if other is None:
            assert wanted is not None
            return compare_images.compare_platforms(
                one, image, (wanted[0], wanted[1]), services, times=times, text=text
            )
        with app.open_image(other) as two:
            pair: tuple[Image | Index, Image | Index] = (one, two)
            return compare_images.compare(
                pair, (image, other), wanted, services, times=times, text=text
            )
