"""A web server on loopback that misbehaves as told, for tests of whoever talks to it.

    with serving() as server:
        server.file("/a", b"...")
        server.faults.append(Fault(cut_at=100))       # the next request gets it
        Client().request("GET", server.url("/a"))

Every request is recorded in ``server.requests``; each fault is used once, in order, by
the first request that it fits, and ``server.faults`` is empty when all have happened.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens instead of, or to, one answer.

    status, headers, body: answer this instead
    cut_at:    reset the connection after so many body bytes
    close_at:  close it properly there (a clean early end)
    stall_at:  send nothing more after so many bytes until the server stops
    drip:      send single bytes, this many seconds apart
    ignore_range: answer 200 with everything
    flip:      invert one bit of this body byte
    raw:       send these bytes and close
    request_cut_at: reset after reading so many bytes of the request's body
    method, path: the requests it fits (any by default)
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_at: int | None = None
    close_at: int | None = None
    stall_at: int | None = None
    drip: float | None = None
    ignore_range: bool = False
    flip: int | None = None
    raw: bytes | None = None
    request_cut_at: int | None = None
    method: str = ""
    path: str = ""

    def fits(self, request: Received) -> bool:
        return self.method in ("", request.method) and request.path.startswith(self.path)


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Files by path, faults, and the requests so far."""

    def __init__(
        self, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.faults: list[Fault] = []
        self.requests: list[Received] = []
        self.connections = 0
        self.answers: dict[str, Callable[[Received], Answer]] = {}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._tls = tls
        self._http = _Listener((address, port), self, tls)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def file(self, path: str, data: bytes, **headers: str) -> str:
        """Serve ``data`` there, ranges included; returns its URL."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda request: _file(request, data, more)
        return self.url(path)

    def answer(self, path: str, status: int, body: bytes = b"", **headers: str) -> str:
        """Always answer that; returns the URL."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = lambda _request: (status, more, body)
        return self.url(path)

    def paths(self, method: str = "") -> list[str]:
        return [one.path for one in self.requests if method in ("", one.method)]

    def take_fault(self, request: Received) -> Fault:
        with self.lock:
            for number, fault in enumerate(self.faults):
                if fault.fits(request):
                    return self.faults.pop(number)
        return Fault()

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextlib.contextmanager
def serving(
    tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0
) -> Iterator[Server]:
    server = Server(tls, address, port)
    try:
        yield server
    finally:
        server.stop()


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Any, owner: Server, tls: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.tls = tls
        super().__init__(address, _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self.owner.lock:
            self.owner.connections += 1
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            secured = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        with secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers.get("content-length", "0"))
        probe = Received(method=self.command, path=self.path, headers=headers, body=b"")
        fault = owner.take_fault(probe)
        if fault.request_cut_at is not None:
            self.rfile.read(fault.request_cut_at)
            self._reset()
            return
        body = self.rfile.read(length)
        request = Received(method=self.command, path=self.path, headers=headers, body=body)
        with owner.lock:
            owner.requests.append(request)
        self._respond(request, fault)

    def _respond(self, request: Received, fault: Fault) -> None:
        if fault.raw is not None:
            self.wfile.write(fault.raw)
            self.close_connection = True
            return
        status, headers, body = self._answer(request, fault)
        if fault.flip is not None:
            body = body[: fault.flip] + bytes([body[fault.flip] ^ 1]) + body[fault.flip + 1 :]
        self.send_response(status)
        names = {name.lower() for name in headers}
        if "content-length" not in names and "transfer-encoding" not in names:
            headers = {**headers, "Content-Length": str(len(body))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send(body, fault)

    def _answer(self, request: Received, fault: Fault) -> Answer:
        if fault.status:
            return fault.status, dict(fault.headers), fault.body or b""
        if fault.ignore_range:
            kept = {name: value for name, value in request.headers.items() if name != "range"}
            request = Received(
                method=request.method, path=request.path, headers=kept, body=request.body
            )
        handler = self.server.owner.answers.get(request.path.partition("?")[0])
        if handler is None:
            return 404, {}, b"not here"
        status, headers, body = handler(request)
        if fault.body is not None:
            body = fault.body
        return status, {**headers, **fault.headers}, body

    def _send(self, body: bytes, fault: Fault) -> None:
        if fault.cut_at is not None:
            self.wfile.write(body[: fault.cut_at])
            self.wfile.flush()
            self._reset()
        elif fault.close_at is not None:
            self.wfile.write(body[: fault.close_at])
            self.close_connection = True
        elif fault.stall_at is not None:
            self.wfile.write(body[: fault.stall_at])
            self.wfile.flush()
            self.server.owner.stopping.wait()
            self.close_connection = True
        elif fault.drip is not None:
            for position in range(len(body)):
                self.wfile.write(body[position : position + 1])
                self.wfile.flush()
                if self.server.owner.stopping.wait(fault.drip):
                    return
        else:
            self.wfile.write(body)

    def _reset(self) -> None:
        """Close so that the other side sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.close()


def _file(request: Received, data: bytes, headers: dict[str, str]) -> Answer:
    wanted = request.headers.get("range", "")
    if not wanted:
        return 200, {"Content-Type": "application/octet-stream", **headers}, data
    start, _, end = wanted.removeprefix("bytes=").partition("-")
    first, last = int(start), int(end) if end else len(data) - 1
    if first >= len(data):
        return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
    last = min(last, len(data) - 1)
    more = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
    return 206, {**headers, **more}, data[first : last + 1]
