"""``homeport digest``: the digest of an image, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.platform_options import part_platform_option, read_platform
from homeport.cli.registry_options import registry_options
from homeport.errors import UsageError
from homeport.images.address import RegistryAddress, parse_source

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="digest",
    epilog="""\b
Examples:
  homeport digest docker.io/library/debian:13-slim
  homeport digest docker.io/library/debian:13-slim --full-ref
  homeport digest ./copy.oci --platform linux/arm64
""",
)
@click.argument("image")
@part_platform_option
@click.option("--full-ref", is_flag=True, help="Print REPOSITORY@DIGEST.")
@registry_options
@common
def command(
    session: Session, *, image: str, platform: str | None, full_ref: bool, access: RegistryAccess
) -> None:
    """Print the digest of IMAGE, an address.

    A registry is asked for the digest of a tag without its document, which costs no pull.
    """
    address = parse_source(image)
    if full_ref and not isinstance(address, RegistryAddress):
        raise UsageError("--full-ref requires an image in a registry")
    with session.app() as app:
        found = app.digest(image, platform=read_platform(platform), access=access)
    document = {"schema": "homeport-digest/v1", "address": str(address), "digest": str(found)}
    if isinstance(address, RegistryAddress):
        document["reference"] = str(address.reference.at_digest(found))
    session.output.write(document, document["reference"] if full_ref else str(found))
