"""A few requests to the docker daemon, over its socket (Docker Engine API).

``DOCKER_HOST`` (``unix://``, ``tcp://``), ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` as
the docker program reads them; podman's service answers to the same requests. Not for
builds (``homeport.buildkit``).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from homeport.content.reading import CHUNK, Readable
from homeport.errors import HomeportError, UsageError
from homeport.net.connection import Answer, Connection
from homeport.net.http1 import Malformed, request_head

if TYPE_CHECKING:
    import ssl

DEFAULT_HOST = "unix:///var/run/docker.sock"
_TIMEOUT = 600.0  # seconds without a byte: a daemon packs a large image before it answers
_ERROR_LIMIT = 1 << 16


class EngineError(HomeportError):
    """A local engine cannot be reached, or refused."""

    id = "engine"


class _Message(msgspec.Struct):
    message: str = ""


def docker_host(environ: Mapping[str, str] = os.environ) -> str:
    """Where the daemon is."""
    return environ.get("DOCKER_HOST") or DEFAULT_HOST


@contextlib.contextmanager
def request(
    method: str, path: str, body: Readable | None = None, length: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[EngineAnswer]:  # fmt: skip
    """The daemon's answer, to be read inside the block. Raises ``EngineError``."""
    host = docker_host(environ)
    fields = [("Host", "docker"), ("Content-Length", str(length))]
    if body is not None:
        fields.append(("Content-Type", "application/x-tar"))
    with _explained(host):
        connection = _connect(host, environ)
    with contextlib.closing(connection):

        def send_body() -> None:
            while body is not None and (block := body.read(CHUNK)):
                connection.send(block)

        with _explained(host):
            answer = connection.ask(method, request_head(method, path, fields), send_body)
        response = EngineAnswer(answer, host)
        if answer.head.status >= 400:
            raise EngineError(
                f"the docker daemon answered {answer.head.status}: {_reason(response)}",
                where={"engine": host},
            )
        yield response


class EngineAnswer:
    """The body of an answer, to be read once; ``EngineError`` if the daemon ends it early."""

    def __init__(self, answer: Answer, host: str) -> None:
        self._answer = answer
        self._host = host

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, all without; empty at the end."""
        with _explained(self._host):
            if size < 0:
                return b"".join(iter(lambda: self._answer.read(CHUNK), b""))
            return self._answer.read(size)

    def close(self) -> None:
        """Nothing: the block in which it was asked for ends the connection."""


def _reason(response: EngineAnswer) -> str:
    raw = response.read(_ERROR_LIMIT)
    try:
        return msgspec.json.decode(raw, type=_Message).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ascii(raw[:200].decode("utf-8", "replace"))


@contextlib.contextmanager
def _explained(host: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, Malformed) as error:
        raise _unreachable(host, error) from error


def _unreachable(host: str, error: Exception) -> EngineError:
    return EngineError(
        f"cannot talk to the docker daemon at {host}: {error}",
        where={"engine": host},
        hint="start it, or say where it is with DOCKER_HOST",
    )


def _connect(host: str, environ: Mapping[str, str]) -> Connection:
    url = urlsplit(host)
    if url.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(_TIMEOUT)
        try:
            sock.connect(url.path)
        except BaseException:
            sock.close()
            raise
        return Connection(sock)
    if url.scheme != "tcp" or not url.hostname:
        raise UsageError(
            f"DOCKER_HOST={host} is not understood", hint="use unix:///… or tcp://HOST"
        )
    name = url.hostname
    folder = Path(environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    context = _tls(folder) if environ.get("DOCKER_TLS_VERIFY") else None
    port = url.port or (2375 if context is None else 2376)
    connection = Connection(socket.create_connection((name, port), _TIMEOUT))
    if context is not None:
        from homeport.net.tls import secured

        try:
            connection.change(lambda channel: secured(channel, context, name))
        except BaseException:
            connection.close()
            raise
    return connection


def _tls(folder: Path) -> ssl.SSLContext:
    import ssl  # 3 ms, for who speaks TLS

    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise UsageError(f"cannot use the certificates in {folder}: {error}") from error
    return context
