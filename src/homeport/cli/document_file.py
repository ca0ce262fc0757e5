"""The option of commands that print a document, or write it to a file."""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.show import Output
from homeport.content.files import check_place, write_file


def checked_place(
    context: click.Context, parameter: click.Parameter, file: Path | None
) -> Path | None:
    """Callback of an option with a file to write: one that cannot be written is told at once."""
    if file is not None:
        check_place(file)
    return file


document_file_option = click.option(
    "-o", "--output", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    callback=checked_place, help="Write to FILE.  [default: standard output]",
)  # fmt: skip


def write_document(output: Output, file: Path | None, text: str) -> None:
    """Print ``text``, or write it to ``file``."""
    if file is None:
        output.write_text(text)
    else:
        write_file(file, f"{text}\n".encode())
