"""A server's bytes, through the whole connection layer but the network."""

from __future__ import annotations

import socket
from typing import Any

from builders.net import quick_client
from homeport.errors import HomeportError
from homeport.net import connection_pool
from homeport.net.address_class import AddressClass
from homeport.net.retries import ONCE

EXPECTED = (HomeportError,)
MAX_LENGTH = 32 << 10
_HEAD = b"HTTP/1.1 200 OK\r\n"


def fuzz_one(data: bytes) -> None:
    """Let a client read ``data`` as the answers of two connections and of a proxy."""
    for method in ("GET", "HEAD"):
        opened: list[socket.socket] = []

        def open_socket(*_: Any, opened: list[socket.socket] = opened, **__: Any) -> Any:
            ours, theirs = socket.socketpair()
            opened.append(theirs)
            theirs.setblocking(False)
            try:
                theirs.send(data)
                theirs.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return ours, AddressClass.LOOPBACK

        before, connection_pool.open_socket = connection_pool.open_socket, open_socket  # type: ignore[assignment]
        try:
            with quick_client() as client:
                _ask(client, method)
        finally:
            connection_pool.open_socket = before
            for sock in opened:
                sock.close()


def _ask(client: Any, method: str) -> None:
    try:
        with client.request(method, "http://127.0.0.1:9/x", rule=ONCE, follow=False) as answer:
            body = answer.read()
    except EXPECTED:
        return
    if method != "HEAD" and answer.status not in (204, 304) and answer.length is not None:
        assert len(body) == answer.length


def seeds() -> list[bytes]:
    """Each way to say where a body ends, and what surrounds an answer."""
    return [
        _HEAD + b"Content-Length: 2\r\n\r\nok",
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\nA: b\r\n\r\n",
        _HEAD + b"Content-Type: text/plain\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + _HEAD + b"Content-Length: 0\r\n\r\n",
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="http://a/"\r\n'
        b"Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 204 No Content\n\n",
    ]
