"""Selecting the engine that builds a part; for commands, one that runs the platform."""

from __future__ import annotations

import os
from collections.abc import Sequence

from homeport.buildkit.address import Engine, Surroundings, default_engines, parse_engine
from homeport.buildkit.engine import Description, describe, first_reachable
from homeport.buildkit.protocol.errors import EngineUnreachable
from homeport.buildkit.scheduling import NoEngineFor, schedule
from homeport.home import home_directory
from homeport.oci.platform import Platform
from homeport.progress import CancelToken, Progress


def open_engines(texts: Sequence[str], cancel: CancelToken) -> list[Engine]:
    """The engines named, or the first default that answers. Raises ``EngineUnreachable``."""
    around = Surroundings(environment=os.environ, home=home_directory())
    words = [word for text in texts for word in text.split()]
    if words:
        return [parse_engine(word, around) for word in words]
    return [first_reachable(default_engines(around), cancel)]


def suitable_engines(
    engines: Sequence[Engine],
    platforms: Sequence[Platform],
    cancel: CancelToken,
    progress: Progress,
) -> list[tuple[Engine, Description, Platform]]:
    """Engines that run one of ``platforms``, best first; the others are fallbacks.

    Raises ``EngineUnreachable`` if none answers, ``NoEngineFor`` if none fits.
    """
    described: dict[str, Description] = {}
    error: EngineUnreachable | None = None
    for engine in engines:
        try:
            described[engine.name] = describe(engine, cancel)
        except EngineUnreachable as found:
            error = error or found
            progress.note("engines", f"warning: {found.what}")
    if not described:
        assert error is not None
        raise error
    ordered: list[tuple[str, Platform]] = []
    no_engine: NoEngineFor | None = None
    for platform in platforms:
        left = {name: each for name, each in described.items() if name not in dict(ordered)}
        while left:
            try:
                name = next(iter(schedule([platform], left)))
            except NoEngineFor as found:
                no_engine = no_engine or found
                break
            left.pop(name)
            ordered.append((name, platform))
    if not ordered and no_engine is not None:
        raise no_engine
    by_name = {engine.name: engine for engine in engines}
    return [(by_name[name], described[name], platform) for name, platform in ordered]
