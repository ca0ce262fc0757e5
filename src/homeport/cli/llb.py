"""``homeport llb``: look into a marshalled LLB definition."""

from __future__ import annotations

import sys

import click

from homeport.buildkit.llb.dump import as_dot, as_json, as_text
from homeport.cli.options import Session, common
from homeport.cli.subcommand import CommandGroup


@click.group(cls=CommandGroup, name="llb")
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
    with session.app() as app:
        definition = app.llb(sys.stdin.buffer if file == "-" else file)
    if dot:
        click.echo(as_dot(definition))
    else:
        session.output.write(as_json(definition), as_text(definition))
