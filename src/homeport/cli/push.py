"""``homeport push``: an image, every platform, to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import (
    no_clobber_option,
    nondistributable_option,
    platform_option,
    referrers_option,
    write_report,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.oci.platform import parse_platforms

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="push",
    epilog="""\b
Examples:
  homeport push oci:./copy.oci registry.example/team/copy:1.0
  homeport push docker-archive:saved.tar registry.example/team/copy --platform linux/arm64
  podman save --format oci-archive copy | homeport push - registry.example/team/copy
""",
)
@click.argument("source")
@click.argument("destination")
@platform_option
@referrers_option
@no_clobber_option
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
    no_clobber: bool,
    nondistributable: bool,
    access: RegistryAccess,
) -> None:
    """Push an image to a registry.

    Every platform is sent unchanged, digests included; blobs that the registry has are not
    sent again. After a failure the same command resumes where it stopped.
    """
    with session.app() as app:
        written = app.push(
            source, destination, platforms=parse_platforms(platforms), access=access,
            no_clobber=no_clobber, nondistributable=nondistributable, referrers=referrers,
        )  # fmt: skip
    write_report(session.output, source, written)
