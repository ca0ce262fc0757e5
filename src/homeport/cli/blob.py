"""``homeport blob``: one blob of a repository, verified, on standard output or in a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from homeport.cli.options import Session, common
from homeport.cli.registry_options import registry_options
from homeport.errors import UsageError

if TYPE_CHECKING:
    from homeport.content.blob import Blob
    from homeport.registry.access import RegistryAccess


@click.command(
    name="blob",
    epilog="""\b
Example:
  homeport blob registry.example/team/copy@sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5\
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

    REFERENCE is REPOSITORY@sha256:….
    """
    from homeport.content.files import atomic_write
    from homeport.oci.reference import parse_reference

    parsed = parse_reference(reference.removeprefix("docker://"), default_tag="")
    if parsed.digest is None:
        raise UsageError(f"{reference}: a digest is required", hint="write REPOSITORY@sha256:…")
    with session.app() as app:
        repository = app.registries(parsed.registry, access).sources(parsed)
        blob = repository.fetch_blob_of_unknown_size(
            parsed.digest, app.runtime.store, progress=app.runtime.progress
        )
        if output is None:
            _copy(blob, sys.stdout.buffer)
        else:
            with atomic_write(output) as stream:
                _copy(blob, stream)


def _copy(blob: Blob, stream: BinaryIO) -> None:
    from homeport.content.blob import verified
    from homeport.content.reading import CHUNK

    with verified(blob) as content:
        while chunk := content.read(CHUNK):
            stream.write(chunk)
    stream.flush()
