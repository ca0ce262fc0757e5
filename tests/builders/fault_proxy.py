"""A proxy between a client and a real registry that breaks one request in a chosen way.

    with fault_proxy(registry.host) as proxy:
        proxy.faults.append(Fault(method="PUT", path="/blobs/uploads/", cut_request_at=1000))
        ... talk to proxy.host ...
        assert proxy.faults == []          # every fault has happened

Everything else is passed on as it is. A fault is used by the first request that it fits,
``times`` times.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "proxy-connection"})


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to a request that fits ``method`` and ``path`` (a regular expression).

    before the registry sees it:
      status, headers, body     answer this; with ``early`` without reading the request's body
      raw                       send these bytes instead of an answer, and close
      cut_request_at            pass on so many body bytes, then break both connections
      flip_request              invert one bit of the body on the way
      silent                    never answer
    after the registry has answered:
      lose_answer               break the connection instead
      set_headers, drop_headers change its headers
      set_status                change its status
      replace_body              other bytes
      cut_answer_at, stall_answer_at, close_answer_at, flip_answer, drip_answer
      half_close                send the answer, then stop sending and close
    """

    method: str = ""
    path: str = ""
    times: int = 1
    skip: int = 0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    early: bool = False
    raw: bytes | None = None
    cut_request_at: int | None = None
    flip_request: bool = False
    silent: bool = False
    lose_answer: bool = False
    set_headers: Mapping[str, str] = field(default_factory=dict)
    drop_headers: tuple[str, ...] = ()
    set_status: int = 0
    replace_body: bytes | None = None
    cut_answer_at: int | None = None
    stall_answer_at: int | None = None
    close_answer_at: int | None = None
    flip_answer: bool = False
    drip_answer: float | None = None
    http_1_0: bool = False
    forget_token: bool = False

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("", method) and re.search(self.path, path) is not None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that came: ``body`` counts its bytes."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: int


class Proxy:
    """See the module. With ``tokens`` it wants a bearer token and is its own token service."""

    def __init__(self, upstream: str, *, tokens: bool = False) -> None:
        self.upstream = upstream
        self.tokens = tokens
        self.token_number = 0
        self.token_requests = 0
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._http = _Listener(("127.0.0.1", 0), self)
        self.host = f"127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def take(self, method: str, path: str) -> Fault:
        with self.lock:
            for number, fault in enumerate(self.faults):
                if not fault.fits(method, path):
                    continue
                if fault.skip:
                    self.faults[number] = replace(fault, skip=fault.skip - 1)
                    continue
                if fault.times > 1:
                    self.faults[number] = replace(fault, times=fault.times - 1)
                else:
                    del self.faults[number]
                return fault
        return Fault()

    def requests(self, method: str, path: str = "") -> list[Seen]:
        return [one for one in self.seen if one.method == method and re.search(path, one.path)]

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@contextlib.contextmanager
def fault_proxy(upstream: str, *, tokens: bool = False) -> Iterator[Proxy]:
    proxy = Proxy(upstream, tokens=tokens)
    try:
        yield proxy
    finally:
        proxy.stop()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Any, owner: Proxy) -> None:
        self.owner = owner
        super().__init__(address, _Handler)

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

    @property
    def owner(self) -> Proxy:
        return self.server.owner

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        fault = self.owner.take(self.command, self.path)
        if fault.early:
            self._note(0)
            self._answer(fault.status, dict(fault.headers), fault.body, fault)
            self.close_connection = True
            return
        if fault.cut_request_at is not None:
            self._pass_on_partly(length, fault.cut_request_at)
            return
        body = self.rfile.read(length)
        self._note(len(body))
        if fault.forget_token:
            self.owner.token_number += 1
        spoken = fault.status or fault.raw is not None or fault.silent
        if self.owner.tokens and not spoken and self._wants_token():
            return
        if fault.silent:
            self.owner.stopping.wait()
            self.close_connection = True
        elif fault.raw is not None:
            self.wfile.write(fault.raw)
            self.close_connection = True
        elif fault.status:
            self._answer(fault.status, dict(fault.headers), fault.body, fault)
        else:
            if fault.flip_request and body:
                body = bytes([body[0] ^ 1]) + body[1:]
            self._pass_on(body, fault)

    def _note(self, length: int) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(method=self.command, path=self.path, headers=headers, body=length)
        with self.owner.lock:
            self.owner.seen.append(seen)

    def _wants_token(self) -> bool:
        """The way in; whether the request has been answered by it."""
        owner = self.owner
        if self.path.startswith("/token"):
            owner.token_requests += 1
            token = json.dumps({"token": f"t{owner.token_number}", "expires_in": 3600})
            self._answer(200, {"Content-Type": "application/json"}, token.encode(), Fault())
            return True
        if self.headers.get("Authorization") == f"Bearer t{owner.token_number}":
            return False
        challenge = f'Bearer realm="http://{owner.host}/token",service="test"'
        self._answer(401, {"WWW-Authenticate": challenge}, b"{}", Fault())
        return True

    def _pass_on(self, body: bytes, fault: Fault) -> None:
        status, headers, answer = self._ask(body)
        if fault.lose_answer:
            self._reset()
            return
        headers = {
            name: value for name, value in headers.items()
            if name.lower() not in {drop.lower() for drop in fault.drop_headers}
            and name.lower() not in {name.lower() for name in fault.set_headers}
        }  # fmt: skip
        headers |= fault.set_headers
        if fault.replace_body is not None:
            answer = fault.replace_body
            headers = {n: v for n, v in headers.items() if n.lower() != "content-length"}
        if fault.flip_answer:
            answer = bytes([answer[0] ^ 1]) + answer[1:]
        self._answer(fault.set_status or status, headers, answer, fault)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.owner.upstream, timeout=20)
        headers = {
            name: value for name, value in self.headers.items()
            if name.lower() not in _HOP | {"authorization"}
        }  # fmt: skip
        connection.request(self.command, self.path, body=body or None, headers=headers)
        response = connection.getresponse()
        answer = response.read()
        found = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        connection.close()
        return response.status, found, answer

    def _pass_on_partly(self, length: int, cut_at: int) -> None:
        """Let the registry see the beginning of the body, then cut both sides."""
        body = self.rfile.read(min(cut_at, length))
        self._note(len(body))
        with socket.create_connection(self.owner.upstream.split(":")) as upstream:
            head = f"{self.command} {self.path} HTTP/1.1\r\n" + "".join(
                f"{name}: {value}\r\n"
                for name, value in self.headers.items()
                if name.lower() != "authorization"
            )
            upstream.sendall(head.encode() + b"\r\n" + body)
            upstream.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                upstream.settimeout(1)
                upstream.recv(4096)  # so that it has noticed before we let the client go on
        self._reset()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        if fault.http_1_0:
            self.protocol_version = "HTTP/1.0"
            headers = {n: v for n, v in headers.items() if n.lower() != "content-length"}
            self.close_connection = True
        self.send_response_only(status)
        names = {name.lower() for name in headers}
        if "content-length" not in names and not fault.http_1_0 and status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self._send(body, fault)

    def _send(self, body: bytes, fault: Fault) -> None:
        if fault.cut_answer_at is not None:
            self.wfile.write(body[: fault.cut_answer_at])
            self.wfile.flush()
            self._reset()
        elif fault.close_answer_at is not None:
            self.wfile.write(body[: fault.close_answer_at])
            self.close_connection = True
        elif fault.stall_answer_at is not None:
            self.wfile.write(body[: fault.stall_answer_at])
            self.wfile.flush()
            self.owner.stopping.wait()
            self.close_connection = True
        elif fault.drip_answer is not None:
            for position in range(0, len(body), 64):
                self.wfile.write(body[position : position + 64])
                self.wfile.flush()
                if self.owner.stopping.wait(fault.drip_answer):
                    return
        else:
            self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.close()
