"""The option of commands that print a document, or write it to a file."""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.show import Output
from homeport.content.files import write_file

document_file_option = click.option(
    "-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write to FILE.  [default: standard output]",
)  # fmt: skip


def write_document(output: Output, file: Path | None, text: str) -> None:
    """Print ``text``, or write it to ``file``."""
    if file is None:
        output.write_text(text)
    else:
        write_file(file, f"{text}\n".encode())
