"""A server that sends bytes exactly as told, reached in several ways.

    with scripted("tls", tmp_path, answers(b"HTTP/1.1 200 OK\\r\\n\\r\\n")) as place:
        place.client().request("GET", place.url)

A script is called once for each connection, with the socket (plain or TLS) and the number of the
connection, counted from 0.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.certificates import authority, issue
from builders.http_server import server_tls
from builders.net import quick_client
from homeport.net.client import Client
from homeport.net.proxies import Proxies
from homeport.net.tls_settings import Trust
from homeport.net.url import Url

Script = Callable[[socket.socket, int], None]

#: Plainly, by TLS, by TLS through a proxy, and by TLS through a proxy that itself speaks TLS.
WAYS = ("plain", "tls", "proxy", "tls-proxy")


@dataclass
class Place:
    """Where the server is, and clients that reach it."""

    url: str
    trust: Trust
    proxies: Proxies
    connections: list[socket.socket]

    def client(self, **more: Any) -> Client:
        return quick_client(**{"trust": self.trust, "proxies": self.proxies, "stall": 5.0, **more})


@contextlib.contextmanager
def scripted(way: str, folder: Path, script: Script) -> Iterator[Place]:
    """Run the server, and the proxy in front of it."""
    ca = authority(folder)
    pair = issue(ca, folder, "server", alternative="DNS:a.example,IP:127.0.0.1")
    tls = server_tls(pair.certificate, pair.key)
    connections: list[socket.socket] = []

    def serve(plain: socket.socket, number: int) -> None:
        with plain if way == "plain" else tls.wrap_socket(plain, server_side=True) as sock:
            connections.append(sock)
            script(sock, number)

    with listening(serve) as port, contextlib.ExitStack() as stack:
        proxies = Proxies()
        if way in ("proxy", "tls-proxy"):
            secure = way == "tls-proxy"

            def tunnel(plain: socket.socket, _number: int) -> None:
                with tls.wrap_socket(plain, server_side=True) if secure else plain as client:
                    read_head(client)
                    with socket.create_connection(("127.0.0.1", port)) as server:
                        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        relay(client, server)

            proxy_port = stack.enter_context(listening(tunnel))
            scheme = "https" if secure else "http"
            proxies = Proxies(https=Url.parse(f"{scheme}://127.0.0.1:{proxy_port}"))
        host = "127.0.0.1" if way in ("plain", "tls") else "a.example"
        scheme = "http" if way == "plain" else "https"
        trust = Trust(ca_files=(ca.certificate,))
        yield Place(f"{scheme}://{host}:{port}/x", trust, proxies, connections)


@contextlib.contextmanager
def listening(serve: Script, *, most: int = 1000) -> Iterator[int]:
    """Call ``serve`` in a thread for each of so many connections to the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock:
            serve(sock, number)

    def accept() -> None:
        for number in range(most):
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(sock, number), daemon=True))
            threads[-1].start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in (thread, *threads):
            each.join(2)


def answers(*each: bytes, then: Callable[[socket.socket], None] = lambda _sock: None) -> Script:
    """A script that reads a request and sends the next of ``each``, on every connection."""

    def script(sock: socket.socket, _number: int) -> None:
        for answer in each:
            if not read_head(sock):
                return
            sock.sendall(answer)
        then(sock)

    return script


def read_head(sock: socket.socket) -> bytes:
    """A request's head; its body, if any, is left unread or comes along."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    return data


def reset(sock: socket.socket) -> None:
    """End the connection without any goodbye, of TCP or TLS."""
    raw = socket.socket(fileno=sock.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def cut(sock: socket.socket) -> None:
    """End the TCP connection in order, but TLS without close_notify."""
    raw = socket.socket(fileno=sock.detach())
    raw.shutdown(socket.SHUT_RDWR)
    raw.close()


def relay(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes both ways until one side ends, by turns: TLS is not for two threads."""
    client.settimeout(0.01)
    server.settimeout(0.01)
    while True:
        for source, target in ((client, server), (server, client)):
            try:
                data = source.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            target.settimeout(5)
            target.sendall(data)
            target.settimeout(0.01)
