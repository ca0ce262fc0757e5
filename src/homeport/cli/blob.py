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
    from homeport.cli.registry_options import RegistryOptions
    from homeport.content.blob import Blob


@click.command(name="blob")
@click.argument("reference")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write to this file instead of standard output.",
)  # fmt: skip
@registry_options
@common
def command(
    session: Session, *, reference: str, output: Path | None, options: RegistryOptions
) -> None:
    """Fetch the blob REPOSITORY@sha256:…; nothing is written before it is verified."""
    from homeport.content.files import atomic_write
    from homeport.oci.reference import parse_reference

    parsed = parse_reference(reference.removeprefix("docker://"), default_tag="")
    if parsed.digest is None:
        raise UsageError("a blob is named by its digest", hint="REPOSITORY@sha256:…")
    with session.app() as app:
        repository = options.open(app, parsed.registry).repository(parsed)
        blob = repository.fetch_blob_of_unknown_size(
            parsed.digest, app.store, progress=app.progress
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
