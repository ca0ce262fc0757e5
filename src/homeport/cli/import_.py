"""``homeport import``: an upstream image into the user's own registry, to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.copying_options import (
    foreign_layers,
    foreign_option,
    no_clobber_option,
    platform_option,
    read_platforms,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.cli.registry_options import RegistryOptions


@click.command(
    name="import",
    epilog="""\b
Example:
  homeport import docker.io/tonistiigi/binfmt:latest registry.example/helpers/binfmt:latest
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
    """Import an upstream image into your registry, pinned by digest.

    All platforms are copied unchanged from SOURCE to DESTINATION, with provenance, SBOM and
    signatures; an artifact beside the image records its origin. Importing again copies only
    what is missing. The command prints the reference to use, with its digest.
    """
    from homeport.images.address import RegistryAddress, parse_destination, parse_source
    from homeport.images.importing import vendor

    origin, target = parse_source(source), parse_destination(destination)
    if not isinstance(origin, RegistryAddress) or not isinstance(target, RegistryAddress):
        raise UsageError(
            "import requires two registry addresses",
            hint=f"homeport push {source} {destination}",
        )
    with session.app() as app:
        make = options.maker(app, target.reference.registry, no_clobber=no_clobber)
        imported = vendor(
            make(origin), make(target), app.runtime, platforms=read_platforms(platforms),
            prepare=foreign_layers(app, take=take_foreign),
        )  # fmt: skip
        pinned = str(target.reference.at_digest(imported.pushed.digest))
        document = {
            "schema": "homeport-import/v1",
            "reference": pinned,
            "source": str(origin),
            "upstream_digest": str(imported.upstream),
            "origin_artifact": str(imported.origin),
            "copied": imported.pushed.sent,
            "copied_bytes": imported.pushed.sent_bytes,
        }
        session.output.write(document, pinned)
