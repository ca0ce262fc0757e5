"""``homeport pull``: an image, every platform, from a registry (or another source)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import (
    nondistributable_option,
    platform_option,
    referrers_option,
    write_report,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.images.address import ArchiveAddress, StreamAddress
from homeport.oci.platform import parse_platforms

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="pull",
    epilog="""\b
Examples:
  homeport pull docker.io/library/debian:13-slim oci:./debian
  homeport pull registry.example/team/copy docker-archive:copy.tar --platform native
  homeport pull registry.example/team/copy - | podman load
  homeport pull registry.example/team/copy oci-archive:copy.tar --referrers
""",
)
@click.argument("source")
@click.argument("destination")
@platform_option
@referrers_option
@nondistributable_option
@registry_options
@common
def command(
    session: Session,
    *,
    source: str,
    destination: str,
    platforms: tuple[str, ...],
    referrers: bool,
    nondistributable: bool,
    access: RegistryAccess,
) -> None:
    """Pull an image from a registry to a layout or an archive.

    Every platform is copied unchanged, digests included, and verified. After an interruption
    the same command resumes where it stopped.
    """
    with session.app() as app:
        written = app.pull(
            source, destination, platforms=parse_platforms(platforms), access=access,
            nondistributable=nondistributable, referrers=referrers,
        )  # fmt: skip
    target = written.address
    to_output = isinstance(target, StreamAddress) or (
        isinstance(target, ArchiveAddress) and target.path is None
    )
    write_report(session.output, source, written, beside=to_output)
