"""``homeport manifest``: a manifest or index as the registry has it, byte for byte."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.printable import output_text

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="manifest",
    epilog="""\b
Examples:
  homeport manifest docker.io/library/debian:13-slim
  homeport manifest registry.example/team/copy:1.0 --digest
""",
)
@click.argument("reference")
@click.option("--digest", "only_digest", is_flag=True, help="Print only its digest.")
@registry_options
@common
def command(session: Session, *, reference: str, only_digest: bool, access: RegistryAccess) -> None:
    """Print a manifest or index from a registry, byte for byte.

    With --format json, an object with digest, media type, size and the document.
    """
    with session.app() as app:
        found = app.manifest(reference, access)
    if session.format == "json":
        session.output.write(
            {
                "schema": "homeport-manifest/v1",
                "digest": str(found.digest),
                "media_type": found.media_type,
                "size": len(found.raw),
                "manifest": msgspec.Raw(found.raw),
            },
            "",
        )
    elif only_digest:
        session.output.write({}, str(found.digest))
    elif sys.stdout.isatty():
        click.echo(output_text(found.raw.decode("utf-8", "backslashreplace")))
    else:
        sys.stdout.buffer.write(found.raw)
        sys.stdout.buffer.flush()
