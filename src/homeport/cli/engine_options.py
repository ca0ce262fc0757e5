"""The options of every command that needs an engine, and the engines that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from homeport.errors import HomeportError
from homeport.printable import output_text

if TYPE_CHECKING:
    from homeport.cli.options import Session

engine_option = click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="ADDRESS",
    envvar="HOMEPORT_ENGINE",
    help="BuildKit engine: unix://PATH, tcp://HOST:PORT[?certs=DIR], docker-container://NAME,"
    " podman-container://NAME, ssh://HOST, docker-context://NAME. Repeatable."
    "  [default: BUILDKIT_HOST, DOCKER_HOST, docker's context, the standard sockets]",
)


@contextmanager
def showing_logs(session: Session) -> Iterator[None]:
    """If a step on an engine fails in the block: what it printed, and the Dockerfile's lines."""
    try:
        yield
    except HomeportError as error:
        if session.format != "json":
            for line in (*getattr(error, "log", ()), *_lines(getattr(error, "quotation", ""))):
                click.echo(output_text(line), err=True)
        raise


def _lines(text: str) -> list[str]:
    return text.splitlines()
