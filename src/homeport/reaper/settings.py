"""What the environment says to the reaper, by the names and defaults of ``testcontainers/ryuk``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_UNITS = {
    "ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0,
    "h": 3600.0,
}  # fmt: skip
_PIECE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")


class BadSetting(Exception):
    """A variable that cannot be understood; the text is for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Times in seconds.

    connection:   without a first client for so long, it ends
    reconnection: so long after the last client left, it removes
    request:      for one answer of the daemon
    shutdown:     after a signal, for clients that are still there
    offset:       added to the time of a look: what was created later makes it look again
    retries:      attempts to remove one thing
    """

    host: str
    port: int = 8080
    connection: float = 60.0
    reconnection: float = 10.0
    request: float = 10.0
    shutdown: float = 600.0
    offset: float = -1.0
    retries: int = 10


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises ``BadSetting``. Empty variables count as absent."""

    def text(name: str, default: str) -> str:
        return environment.get(name) or default

    def seconds(name: str, default: str) -> float:
        return duration(name, text(name, default))

    return Settings(
        port=_number("RYUK_PORT", text("RYUK_PORT", "8080"), 1, 65_535),
        connection=seconds("RYUK_CONNECTION_TIMEOUT", "60s"),
        reconnection=seconds("RYUK_RECONNECTION_TIMEOUT", "10s"),
        request=seconds("RYUK_REQUEST_TIMEOUT", "10s"),
        shutdown=seconds("RYUK_SHUTDOWN_TIMEOUT", "10m"),
        offset=seconds("RYUK_RETRY_OFFSET", "-1s"),
        retries=_number("RYUK_REMOVE_RETRIES", text("RYUK_REMOVE_RETRIES", "10"), 1, 1_000),
        host=text("DOCKER_HOST", "unix:///var/run/docker.sock"),
    )


def duration(name: str, text: str) -> float:
    """Seconds of a duration as Go writes it (``time.ParseDuration``): ``1m30s``, ``-1s``, ``0``."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    pieces = _PIECE.findall(rest)
    if not pieces or "".join(number + unit for number, unit in pieces) != rest:
        raise BadSetting(f"{name}: invalid duration {text!r}; write for example 10s or 1m30s")
    return sign * sum(float(number) * _UNITS[unit] for number, unit in pieces)


def _number(name: str, text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise BadSetting(f"{name}: invalid number {text!r}; from {least} to {most}")
    return int(text)
