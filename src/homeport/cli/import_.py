"""``homeport import``: an upstream image into the user's own registry, to stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from homeport.cli.copying_options import (
    no_clobber_option,
    nondistributable_option,
    platform_option,
)
from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.cli.verification_options import source_verification, verification_options
from homeport.oci.platform import parse_platforms

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


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
@nondistributable_option
@verification_options
@registry_options
@common
def command(
    session: Session,
    *,
    source: str,
    destination: str,
    platforms: tuple[str, ...],
    no_clobber: bool,
    nondistributable: bool,
    access: RegistryAccess,
    **verification: Any,
) -> None:
    """Import an upstream image into your registry, pinned by digest.

    All platforms are copied unchanged from SOURCE to DESTINATION, with provenance, SBOM and
    signatures; an artifact beside the image records its origin. Importing again copies only
    what is missing. The command prints the reference to use, with its digest.

    Signatures are verified before anything is written: an image that a rule of the policy matches
    and that is not signed so is refused (exit code 3).
    """
    with session.app() as app:
        imported = app.import_image(
            source, destination, platforms=parse_platforms(platforms), access=access,
            no_clobber=no_clobber, nondistributable=nondistributable,
            verification=source_verification(**verification),
        )  # fmt: skip
        document = {
            "schema": "homeport-import/v1",
            "reference": imported.reference,
            "source": imported.source,
            "upstream_digest": str(imported.upstream),
            "origin_artifact": str(imported.origin),
            "signature": imported.signature,
            "copied": imported.pushed.sent,
            "copied_bytes": imported.pushed.sent_bytes,
        }
        session.output.write(document, imported.reference)
