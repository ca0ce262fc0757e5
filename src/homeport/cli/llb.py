"""``homeport llb``: look into a marshalled LLB definition."""

from __future__ import annotations

import sys
from typing import Any

import click

from homeport.cli.options import Session, common


@click.group(name="llb")
def command() -> None:
    """Print BuildKit's low-level build definitions."""


@command.command(
    epilog="""\b
Examples:
  homeport llb dump build.llb
  homeport llb dump build.llb --dot | dot -Tsvg > build.svg
  buildctl debug dump-llb < build.llb       # prints the same operations
"""
)
@click.argument("file", metavar="FILE")
@click.option("--dot", is_flag=True, help="Print a graph for Graphviz.")
@common
def dump(session: Session, file: str, dot: bool) -> None:
    """Print the operations of an LLB file.

    FILE is a marshalled definition; "-" is standard input.
    """
    from homeport.buildkit.llb.dump import as_dot, as_json, as_text, read_definition

    definition = read_definition(_read(file))
    if dot:
        click.echo(as_dot(definition))
        return
    document: dict[str, Any] = as_json(definition)
    session.output.write(document, as_text(definition))


def _read(file: str) -> bytes:
    from homeport.buildkit.llb.dump import LARGEST
    from homeport.content.reading import read_bounded
    from homeport.errors import UsageError

    if file == "-":
        return read_bounded(sys.stdin.buffer, LARGEST, "standard input")
    try:
        with open(file, "rb") as stream:
            return read_bounded(stream, LARGEST, file)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
