"""A few requests to the docker daemon, over its socket (Docker Engine API).

The daemon is that of the docker program (``homeport.images.docker_endpoint``), over ``unix://``,
``tcp://`` or ``ssh://``; podman's service answers to the same requests. Not for builds
(``homeport.buildkit``).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import urllib3
import urllib3.exceptions

from homeport.content.reading import CHUNK, Readable
from homeport.errors import HomeportError
from homeport.images.docker_endpoint import (
    BadEngineAddress,
    DockerEndpoint,
    docker_endpoint,
    ssh_command,
)
from homeport.net.address_class import AddressClass
from homeport.net.connect import open_socket
from homeport.net.connection import PlainConnection, TlsConnection
from homeport.net.tls import tls_context
from homeport.net.tls_settings import Trust

if TYPE_CHECKING:
    import ssl

_TIMEOUT = 600.0  # seconds without a byte: a daemon packs a large image before it answers
_EXIT_TIMEOUT = 3.0  # seconds for ssh to end when its streams are closed
_ERROR_LIMIT = 1 << 16


class EngineError(HomeportError):
    """A local engine cannot be reached, or refused."""

    id = "engine"


class _Message(msgspec.Struct):
    message: str = ""


_MESSAGE_DECODER = msgspec.json.Decoder(_Message)


@contextlib.contextmanager
def request(
    method: str, path: str, body: Readable | None = None, length: int = 0,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[EngineAnswer]:  # fmt: skip
    """The daemon's answer, to be read inside the block. Raises ``EngineError``."""
    endpoint = docker_endpoint(environ, _home(environ))
    host = endpoint.host
    headers = {"Host": "docker", "Content-Length": str(length)}
    if body is not None:
        headers["Content-Type"] = "application/x-tar"
    with contextlib.closing(_connection(endpoint)) as connection:
        with _explained(host):
            connection.request(
                method, path, _Outgoing(path, body), headers,
                preload_content=False, decode_content=False,
            )  # fmt: skip
            raw = connection.getresponse()
        response = EngineAnswer(raw, host)
        if raw.status >= 400:
            raise EngineError(
                f"the docker daemon answered {raw.status}: {_reason(response)}",
                where={"engine": host},
            )
        yield response


class _Outgoing:
    """What is sent to the daemon, once."""

    def __init__(self, target: str, body: Readable | None) -> None:
        self.target = target
        self._body = body

    def send_body(self, connection: PlainConnection, /) -> None:
        while self._body is not None and (block := self._body.read(CHUNK)):
            connection.send_bytes(block)


class EngineAnswer:
    """The body of an answer, to be read once; ``EngineError`` if the daemon ends it early."""

    def __init__(self, raw: urllib3.BaseHTTPResponse, host: str) -> None:
        self._raw = raw
        self._host = host

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, all without; empty at the end."""
        with _explained(self._host):
            if size < 0:
                return b"".join(iter(lambda: self._raw.read1(CHUNK), b""))
            return self._raw.read1(size)

    def close(self) -> None:
        """Nothing: the block in which it was asked for ends the connection."""


def _reason(response: EngineAnswer) -> str:
    raw = response.read(_ERROR_LIMIT)
    try:
        return _MESSAGE_DECODER.decode(raw).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ascii(raw[:200].decode("utf-8", "replace"))


@contextlib.contextmanager
def _explained(host: str) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise _unreachable(host, error) from error


def _unreachable(host: str, error: Exception) -> EngineError:
    reason = isinstance(error, OSError) and error.strerror
    return EngineError(
        f"cannot reach the docker daemon at {host}: {reason or error}",
        where={"engine": host},
        hint="start it, set DOCKER_HOST to its address, or choose a docker context",
    )


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path("/nonexistent"))


def _connection(endpoint: DockerEndpoint) -> PlainConnection:
    """A connection to the daemon, opened when a request is sent."""
    host = endpoint.host
    url = urlsplit(host)
    if url.scheme == "unix":
        return _UnixConnection(url.path, timeout=_TIMEOUT)
    if url.scheme == "ssh":
        return _SshConnection(ssh_command(host))
    if url.scheme != "tcp" or not url.hostname:
        raise BadEngineAddress(
            f"invalid address of the docker daemon {host!r}",
            hint="use unix:///…, tcp://HOST or ssh://HOST",
        )
    if endpoint.certificates is None:
        return _TcpConnection(url.hostname, url.port or 2375, timeout=_TIMEOUT)
    return _TcpTlsConnection(
        url.hostname, url.port or 2376, timeout=_TIMEOUT,
        ssl_context=_tls(endpoint.certificates, verify=endpoint.verify),
    )  # fmt: skip


def _open(host: str, port: int, timeout: float) -> tuple[socket.socket, AddressClass]:
    return open_socket(host, port, timeout, AddressClass.FORBIDDEN)  # the user's own choice


class _TcpConnection(PlainConnection):
    _open = staticmethod(_open)


class _TcpTlsConnection(TlsConnection):
    _open = staticmethod(_open)


class _UnixConnection(PlainConnection):
    """A connection to a socket file; urllib3's "host" is its path."""

    @staticmethod
    def _open(host: str, port: int, timeout: float) -> tuple[socket.socket, AddressClass]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(host)
        except BaseException:
            sock.close()
            raise
        return sock, AddressClass.LOOPBACK


class _SshConnection(PlainConnection):
    """A connection over the streams of ``ssh … docker system dial-stdio``."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__("ssh", timeout=_TIMEOUT)
        self._command = tuple(command)
        self._program: subprocess.Popen[bytes] | None = None

    def _new_conn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(_TIMEOUT)
        try:
            with theirs:
                self._program = subprocess.Popen(
                    self._command, stdin=theirs.fileno(), stdout=theirs.fileno()
                )
        except BaseException:
            ours.close()
            raise
        return ours

    def close(self) -> None:
        """End the program too, which ends when its streams do."""
        super().close()
        if self._program is not None:
            try:
                self._program.wait(_EXIT_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._program.kill()
                self._program.wait()


def _tls(folder: Path, *, verify: bool) -> ssl.SSLContext:
    """Client certificates as docker keeps them; without ca.pem, the system's authorities."""
    ca, certificate, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
    trust = Trust(
        ca_files=(ca,) if ca.exists() else (),
        only_these=ca.exists(),
        client_certificate=(certificate, key) if certificate.exists() else None,
        verify=verify,
    )
    return tls_context(trust)
