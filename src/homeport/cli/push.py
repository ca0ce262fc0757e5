"""``homeport push``: an image, every platform, to a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import (
    copy_image,
    foreign_option,
    no_clobber_option,
    platform_option,
    read_platforms,
    registry_of,
    report,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.cli.registry_options import RegistryOptions


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
@no_clobber_option
@foreign_option
@registry_options
@common
def command(
    session: Session,
    *,
    source: str,
    destination: str,
    platforms: tuple[str, ...],
    no_clobber: bool,
    take_foreign: bool,
    options: RegistryOptions,
) -> None:
    """Push an image to a registry.

    Every platform is sent unchanged, digests included; blobs that the registry has are not
    sent again. After a failure the same command resumes where it stopped.
    """
    from homeport.images.address import RegistryAddress, parse_destination, parse_source

    origin, target = parse_source(source), parse_destination(destination)
    if not isinstance(target, RegistryAddress):
        raise UsageError(
            f"push writes to a registry only, not to {destination}",
            hint=f"homeport pull {source} {destination}",
        )
    with session.app() as app:
        written = copy_image(
            app, options, origin, target, read_platforms(platforms),
            about=registry_of(target), no_clobber=no_clobber, take_foreign=take_foreign,
        )  # fmt: skip
        document, text = report(origin, written)
        session.output.write(document, text, quiet_text=str(written.digest))
