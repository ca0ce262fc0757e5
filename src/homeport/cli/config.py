"""``homeport config``: the config of an image, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.platform_options import one_platform_option, read_platform
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="config",
    epilog="""\b
Examples:
  homeport config docker.io/library/debian:13-slim
  homeport config ./copy.oci --platform linux/arm64
""",
)
@click.argument("image")
@one_platform_option
@registry_options
@common
def command(session: Session, *, image: str, platform: str | None, access: RegistryAccess) -> None:
    """Print the config of IMAGE, an address, byte for byte.

    For an artifact it is what its manifest names as config. With --format json, an object with
    digests, media type, size and the document.
    """
    with session.app() as app:
        found = app.config(image, platform=read_platform(platform), access=access)
    session.output.write_bytes(
        found.raw,
        {
            "schema": "homeport-config/v1", "image": str(found.image), "digest": str(found.digest),
            "media_type": found.media_type, "size": len(found.raw),
        },
        "config",
    )  # fmt: skip
