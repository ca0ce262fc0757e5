"""A few requests to the docker daemon, over its socket (Docker Engine API).

``DOCKER_HOST`` (``unix://``, ``tcp://``), ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` as
the docker program reads them; podman's service answers to the same requests. Not for
builds (``homeport.buildkit``).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from homeport.content.reading import Readable
from homeport.errors import HomeportError, UsageError

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
) -> Iterator[http.client.HTTPResponse]:  # fmt: skip
    """The daemon's answer, to be read inside the block. Raises ``EngineError``."""
    host = docker_host(environ)
    connection = _connect(host, environ)
    try:
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(length)}
        try:
            if body is None:
                connection.request(method, path)
            else:
                connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(host, error) from error
        if response.status >= 400:
            raise EngineError(
                f"the docker daemon answered {response.status}: {_reason(response)}",
                where={"engine": host},
            )
        yield response
    finally:
        connection.close()


def _reason(response: http.client.HTTPResponse) -> str:
    raw = response.read(_ERROR_LIMIT)
    try:
        return msgspec.json.decode(raw, type=_Message).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ascii(raw[:200].decode("utf-8", "replace"))


def _unreachable(host: str, error: Exception) -> EngineError:
    return EngineError(
        f"cannot talk to the docker daemon at {host}: {error}",
        where={"engine": host},
        hint="start it, or say where it is with DOCKER_HOST",
    )


def _connect(host: str, environ: Mapping[str, str]) -> http.client.HTTPConnection:
    url = urlsplit(host)
    if url.scheme == "unix":
        return _UnixConnection(Path(url.path), _TIMEOUT)
    if url.scheme == "tcp" and url.hostname:
        if environ.get("DOCKER_TLS_VERIFY"):
            context = _tls(Path(environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker"))
            return http.client.HTTPSConnection(
                url.hostname, url.port or 2376, timeout=_TIMEOUT, context=context
            )
        return http.client.HTTPConnection(url.hostname, url.port or 2375, timeout=_TIMEOUT)
    raise UsageError(f"DOCKER_HOST={host} is not understood", hint="use unix:///… or tcp://HOST")


def _tls(folder: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except OSError as error:
        raise UsageError(f"cannot use the certificates in {folder}: {error}") from error
    return context


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
