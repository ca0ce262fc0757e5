"""The options of every command that needs an engine, and the engines that they name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from homeport.buildkit.address import Engine
    from homeport.progress import CancelToken

engine_option = click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="ADDRESS",
    envvar="HOMEPORT_ENGINE",
    help="unix://PATH, tcp://HOST:PORT[?certs=DIR], docker-container://NAME,"
    " podman-container://NAME, ssh://HOST, docker-context://NAME. Repeatable."
    "  [default: BUILDKIT_HOST, DOCKER_HOST, docker's context, the usual sockets]",
)


def open_engines(texts: Sequence[str], cancel: CancelToken) -> list[Engine]:
    """The engines named, or the first default that answers. Raises ``EngineUnreachable``."""
    from homeport.buildkit.address import Surroundings, default_engines, parse_engine
    from homeport.buildkit.engine import first_reachable

    around = Surroundings(environment=os.environ, home=Path.home())
    words = [word for text in texts for word in text.split()]
    if words:
        return [parse_engine(word, around) for word in words]
    return [first_reachable(default_engines(around), cancel)]
