"""``homeport blob``: one blob of a repository, verified, on standard output or in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options

if TYPE_CHECKING:
    from homeport.registry.access import RegistryAccess


@click.command(
    name="blob",
    epilog="""\b
Examples:
  homeport blob registry.example/team/copy@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5\
ed12ab4d8e11ba873c2f11161202b945 -o layer.tar.gz
  homeport blob oci:copy.oci@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5\
ed12ab4d8e11ba873c2f11161202b945 -o layer.tar.gz
""",
)
@click.argument("reference")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Destination file.  [default: standard output]",
)  # fmt: skip
@registry_options
@common
def command(
    session: Session, *, reference: str, output: Path | None, access: RegistryAccess
) -> None:
    """Fetch a blob by its digest and verify it before writing.

    REFERENCE is REPOSITORY@sha256:…, or the address of a layout or archive with @sha256:….
    """
    with session.app() as app:
        app.blob(reference, output or sys.stdout.buffer, access)
