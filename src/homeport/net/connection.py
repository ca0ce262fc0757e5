"""urllib3's connections with our checks of addresses, bodies and responses.

``PlainConnection`` and ``TlsConnection`` are urllib3's, which

- open sockets through ``net.connect``, where the address that is really connected to is judged;
- send the request target byte for byte (urllib3 would normalise signed URLs);
- send bodies from a Blob or with ``sendfile``, and notice an early refusal at once;
- read responses through ``net.response_check``;
- are used again only if nothing was left behind the last response, not even inside TLS.

Not for which connection serves a request (``net.connection_pool``) or what a response means.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import urllib3.connection
from urllib3.exceptions import ProxyError
from urllib3.util.ssltransport import SSLTransport

from homeport.net.address_class import AddressClass
from homeport.net.response_check import CheckedResponse, Malformed
from homeport.net.tls import EarlySSLSocket, tls_ended

_CONNECT = 60.0  # seconds for a connection if the caller sets no limit
_TLS_BLOCK = 64 << 10  # bytes of a file that are read at once where TLS has to see them
_REFUSALS = 300  # an early response from here on ends the sending of the body

#: What a peer's end looks like while we send; a response may have come before.
_HUNG_UP = (BrokenPipeError, ConnectionResetError)

#: Opens a socket to (host, port) within so many seconds; also the class of its address.
OpenSocket = Callable[[str, int, float], tuple[socket.socket, AddressClass]]


class Outgoing(Protocol):
    """What a connection sends: the request's exact target, and a newly opened body."""

    @property
    def target(self) -> str: ...

    def send_body(self, connection: PlainConnection, /) -> None: ...


class _AnsweredEarly(Exception):
    """The server responded before it had received the whole body."""


class PlainConnection(urllib3.connection.HTTPConnection):
    """A connection without TLS of its own.

    address_class: of the address that the socket is connected to
    """

    address_class = AddressClass.PUBLIC
    response_class: Any = CheckedResponse
    _tainted = False
    _watched = select.POLLIN

    @staticmethod
    def _open(host: str, port: int, timeout: float) -> tuple[socket.socket, AddressClass]:
        """Open the socket; each pool (``net.connection_pool``) has its own way."""
        raise NotImplementedError

    @staticmethod
    def _opened(sock: Any, /) -> None:
        """Called with every socket, so that an interrupt reaches it."""

    def connect(self) -> None:
        self._tainted = False
        self._check_responses()
        super().connect()
        # urllib3 would warn where the user asked for no verification by name.
        self.is_verified = True
        if isinstance(self.sock, SSLTransport):  # TLS within TLS
            self.sock.suppress_ragged_eofs = False
        self._opened(self.sock)

    def _new_conn(self) -> socket.socket:
        limit = _seconds(self.timeout) or _CONNECT
        sock, self.address_class = self._open(self._dns_host, self.port, limit)
        sock.settimeout(limit)
        self._opened(sock)
        return sock

    def _tunnel(self) -> None:
        try:
            super()._tunnel()
            if self._tainted:
                raise Malformed("it sent data after its response to CONNECT")
        except (OSError, http.client.HTTPException) as error:
            raise ProxyError("no tunnel", error) from error

    @property
    def is_connected(self) -> bool:
        """Whether the next request may use this connection."""
        return super().is_connected and not self._tainted and not _pending(self.sock)

    def request(
        self, method: str, url: str, body: Any = None,
        headers: Mapping[str, Any] | None = None, **more: Any,
    ) -> None:  # fmt: skip
        """Send a request whose ``body`` is an ``Outgoing``; ``url`` is not looked at."""
        outgoing: Outgoing = body
        self._watched = select.POLLIN
        self._check_responses()  # the limit of this request
        try:
            super().request(method, outgoing.target, None, headers, **more)
            outgoing.send_body(self)
        except _AnsweredEarly:
            self._taint()
        except OSError as error:
            if not (isinstance(error, _HUNG_UP) or tls_ended(error)):
                raise
            self._taint()  # the server has often responded already (413, 401)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes of the body. For ``Outgoing`` alone: ``request`` handles what is raised."""
        sock: Any = self.sock
        if isinstance(sock, SSLTransport):
            sock.sendall(data)
            return
        view = memoryview(data)
        with _unblocked(sock):
            while view:
                view = view[self._step(partial(sock.send, view)) :]

    def send_file(self, descriptor: int, offset: int, length: int) -> int:
        """Send some bytes of an open file. Returns how many; 0 at its end."""
        sock: Any = self.sock
        if type(sock) is not socket.socket:  # TLS has to see the bytes
            data = os.pread(descriptor, min(length, _TLS_BLOCK), offset)
            self.send_bytes(data)
            return len(data)
        with _unblocked(sock):
            return self._step(partial(os.sendfile, sock.fileno(), descriptor, offset, length))

    def _step(self, send: Callable[[], int]) -> int:
        """One ``send`` that does not block, as soon as the peer takes bytes."""
        event = select.POLLOUT
        while True:
            if self._poll(event) & ~select.POLLOUT and self._ended_early():
                raise _AnsweredEarly
            try:
                return send()
            except (BlockingIOError, ssl.SSLWantWriteError):
                event = select.POLLOUT
            except ssl.SSLWantReadError:
                event = select.POLLIN

    def _poll(self, event: int) -> int:
        """Wait until the peer takes bytes or answers."""
        poll = select.poll()
        poll.register(self.sock.fileno(), event | self._watched)
        limit = _seconds(self.timeout)
        found = poll.poll(None if limit is None else limit * 1000)
        if not found:
            raise TimeoutError
        return found[0][1]

    def _ended_early(self) -> bool:
        """Whether what came while we send is a refusal, or the end of the connection."""
        sock = self.sock
        peeked = sock.peek() if isinstance(sock, EarlySSLSocket) else sock.recv(12, socket.MSG_PEEK)
        if peeked is None:  # records of TLS itself, such as a session ticket
            return False
        status = peeked[9:12]
        if peeked and not (len(status) == 3 and status.isdigit() and int(status) >= _REFUSALS):
            self._watched = 0  # an interim response, or one that does not end the body
            return False
        return True

    def _check_responses(self) -> None:
        """Read responses through ``CheckedResponse``, within the time limit of the connection."""
        self.response_class = partial(
            CheckedResponse, leftover=self._taint, limit=_seconds(self.timeout)
        )

    def _taint(self) -> None:
        self._tainted = True


class TlsConnection(PlainConnection, urllib3.connection.HTTPSConnection):
    """A connection with TLS, perhaps inside the TLS of a proxy."""


def abort(sock: Any) -> None:
    """Wake the thread that waits on ``sock``; for another thread.

    Not by the method of a TLS socket, which would take its state from under the reader.
    """
    with contextlib.suppress(OSError, ValueError):
        descriptor = sock.fileno()
        if descriptor >= 0:
            with socket.socket(fileno=os.dup(descriptor)) as duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)


def _pending(sock: Any) -> bool:
    """Whether bytes were decrypted that nothing has read: they belong to no request of ours."""
    if isinstance(sock, SSLTransport):
        return bool(sock.sslobj.pending() or sock.incoming.pending or _pending(sock.socket))
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def _seconds(timeout: Any) -> float | None:
    return float(timeout) if isinstance(timeout, int | float) else None


@contextlib.contextmanager
def _unblocked(sock: socket.socket) -> Iterator[None]:
    limit = sock.gettimeout()
    sock.settimeout(0.0)
    try:
        yield
    finally:
        sock.settimeout(limit)
