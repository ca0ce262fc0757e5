"""``homeport pull``: an image, every platform, from a registry (or another source)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import (
    copy_image,
    foreign_option,
    platform_option,
    read_platforms,
    registry_of,
    report,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.cli.registry_options import RegistryOptions


@click.command(
    name="pull",
    epilog="""\b
Examples:
  homeport pull docker.io/library/debian:13-slim oci:./debian
  homeport pull registry.example/team/copy docker-archive:copy.tar --platform native
  homeport pull registry.example/team/copy - | podman load
""",
)
@click.argument("source")
@click.argument("destination")
@platform_option
@foreign_option
@registry_options
@common
def command(
    session: Session,
    *,
    source: str,
    destination: str,
    platforms: tuple[str, ...],
    take_foreign: bool,
    options: RegistryOptions,
) -> None:
    """Pull an image from a registry to a layout or an archive.

    Every platform is copied unchanged, digests included, and verified. After an interruption
    the same command resumes where it stopped.
    """
    from homeport.images.address import (
        ArchiveAddress,
        StreamAddress,
        parse_destination,
        parse_source,
    )

    origin, target = parse_source(source), parse_destination(destination)
    with session.app() as app:
        written = copy_image(
            app, options, origin, target, read_platforms(platforms),
            about=registry_of(origin, target), take_foreign=take_foreign,
        )  # fmt: skip
        to_output = isinstance(target, StreamAddress) or (
            isinstance(target, ArchiveAddress) and target.path is None
        )
        document, text = report(origin, written)
        session.output.write(document, text, quiet_text=str(written.digest), beside=to_output)
