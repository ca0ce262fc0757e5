"""A byte stream to an engine, and dockerd's upgraded connections, as asyncio transports.

``Opener`` connects a protocol to the engine's socket. ``upgrade`` speaks HTTP/1.1 on such a
stream until the engine switches, then hands the transport to an HTTP/2 protocol. Not for
gRPC (``homeport.buildkit.protocol.grpc_client``) or for finding engines
(``homeport.buildkit.address``).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeVar, cast

import msgspec

from homeport.buildkit.protocol.errors import EngineRefused, EngineUnreachable

P = TypeVar("P", bound=asyncio.Protocol)
Factory = Callable[[], P]
_HEAD_LIMIT = 64 << 10
_CONNECT_TIMEOUT = 20.0  # seconds for a connection or an upgrade
_EXIT_TIMEOUT = 3.0  # seconds for a program whose streams are closed


class Opener(Protocol):
    """Opens one more stream to the engine; each call is a connection of its own."""

    async def open(self, factory: Factory[P]) -> P:
        """Connect. Raises ``OSError``."""

    def failure_text(self) -> str:
        """The error text of a program between us and the engine; empty if there is none."""

    def close(self) -> None:
        """After the last stream was closed: leave nothing running."""


class UnixStream(msgspec.Struct, frozen=True):
    """A socket of this machine."""

    path: str

    async def open(self, factory: Factory[P]) -> P:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_unix_connection(factory, self.path)
        return protocol

    def failure_text(self) -> str:
        return ""

    def close(self) -> None:
        pass


class TcpStream(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port, with TLS where ``tls`` is given.

    No ALPN is offered: dockerd upgrades from HTTP/1.1 and refuses "h2".
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    async def open(self, factory: Factory[P]) -> P:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(factory, self.host, self.port, ssl=self.tls)
        return protocol

    def failure_text(self) -> str:
        return ""

    def close(self) -> None:
        pass


class ProgramStream(msgspec.Struct, frozen=True):
    """Standard input and output of a program: ``docker exec -i … buildctl dial-stdio``."""

    argv: tuple[str, ...]
    _running: list[subprocess.Popen[bytes]] = msgspec.field(default_factory=list)
    #: What they print on standard error, the newest last.
    _errors: list[IO[bytes]] = msgspec.field(default_factory=list)

    async def open(self, factory: Factory[P]) -> P:
        ours, theirs = socket.socketpair()
        self._errors.append(tempfile.TemporaryFile())  # noqa: SIM115  ``close`` closes it
        try:
            with theirs:
                self._running.append(
                    subprocess.Popen(
                        self.argv,
                        stdin=theirs.fileno(),
                        stdout=theirs.fileno(),
                        stderr=self._errors[-1],
                    )
                )
        except FileNotFoundError:
            ours.close()
            what = f"the program {self.argv[0]} is not installed"
            raise FileNotFoundError(errno.ENOENT, what) from None
        except OSError:
            ours.close()
            raise
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(factory, sock=ours)
        return protocol

    def failure_text(self) -> str:
        for stream in reversed(self._errors):
            stream.seek(0)
            text = stream.read(_HEAD_LIMIT).decode("utf-8", "replace").strip()
            if text:
                return text.splitlines()[-1]
        return ""

    def close(self) -> None:
        """Wait for the programs, which end when their streams do."""
        while self._running:
            process = self._running.pop()
            try:
                process.wait(_EXIT_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        while self._errors:
            self._errors.pop().close()


def tls_context(folder: Path, *, verify: bool = True) -> ssl.SSLContext:
    """Client certificates as docker keeps them: ca.pem, cert.pem, key.pem."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no such directory: {folder}")
    ca = folder / "ca.pem"
    context = ssl.create_default_context(cafile=str(ca) if ca.exists() else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if (folder / "cert.pem").exists():
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class NotHttp(Exception):
    """What answers speaks no HTTP/1.1: a buildkitd, which speaks HTTP/2 at once."""


async def upgrade(
    opener: Opener, path: str, headers: Sequence[tuple[str, str]], factory: Factory[P]
) -> P:
    """``POST path`` with an upgrade to h2c; the stream then belongs to ``factory``'s protocol.

    Raises ``EngineRefused`` with the engine's text, ``NotHttp``, ``OSError``.
    """
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: h2c"]
    lines += [f"{name}: {value}" for name, value in headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    upgrading = await opener.open(lambda: _Upgrade(head, factory))
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT):
            protocol = await upgrading.done
    except TimeoutError:
        upgrading.abort()
        raise EngineUnreachable(f"the engine did not answer POST {path}") from None
    except BaseException:
        upgrading.abort()
        raise
    return cast("P", protocol)


class _Upgrade(asyncio.Protocol):
    """Reads the answer's head; what came behind it belongs to the next protocol."""

    def __init__(self, head: bytes, factory: Callable[[], asyncio.Protocol]) -> None:
        self._head = head
        self._factory = factory
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[asyncio.Protocol] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.startswith(b"HTTP/1"[: len(self._received)]):
            return self._fail(NotHttp())
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_LIMIT:
                self._fail(EngineRefused("the engine sent more than 64 KiB of HTTP headers"))
            return None
        if head.split(b" ", 2)[1:2] == [b"101"]:
            return self._switch(rest)
        if len(rest) < _HEAD_LIMIT and not _complete(head, rest):
            return None
        reason = rest[:_HEAD_LIMIT].decode("utf-8", "replace").strip()
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        return self._fail(EngineRefused(f"the engine refused to switch to gRPC: {status} {reason}"))

    def _switch(self, rest: bytes) -> None:
        if self.done.done():
            return
        assert self._transport is not None
        protocol = self._factory()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if rest:
            protocol.data_received(rest)
        self.done.set_result(protocol)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._received:
            self._fail(EngineRefused("the engine closed the connection in mid-answer"))
        else:
            self._fail(NotHttp())

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        if self.done.done() and not self.done.cancelled():
            self.done.exception()


def _complete(head: bytes, body: bytes) -> bool:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip()[:18].isdigit():
            return len(body) >= int(value.strip()[:18])
        if name.strip().lower() == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return True
