"""``homeport manifest``: a manifest or index as its place has it, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.platform_options import part_platform_option, read_platform
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="manifest",
    epilog="""\b
Examples:
  homeport manifest docker.io/library/debian:13-slim
  homeport manifest registry.example/team/copy:1.0 --platform linux/arm64
  homeport manifest ./copy.oci --digest
""",
)
@click.argument("image")
@part_platform_option
@click.option("--digest", "only_digest", is_flag=True, help="Print only its digest.")
@registry_options
@common
def command(
    session: Session, *, image: str, platform: str | None, only_digest: bool,
    access: RegistryAccess,
) -> None:  # fmt: skip
    """Print the manifest or index of IMAGE, an address, byte for byte.

    With --format json, an object with digest, media type, size and the document.
    """
    with session.app() as app:
        found = app.manifest(image, access, platform=read_platform(platform))
    if only_digest and session.format != "json":
        session.output.write({}, str(found.digest))
        return
    session.output.write_bytes(
        found.raw,
        {
            "schema": "homeport-manifest/v1", "digest": str(found.digest),
            "media_type": found.media_type, "size": len(found.raw),
        },
        "manifest",
    )  # fmt: skip
