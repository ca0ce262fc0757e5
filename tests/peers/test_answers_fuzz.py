"""The same bytes of a server to our client, curl and h11: the same answer, or ours refuses."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import h11
import pytest
from hypothesis import HealthCheck, given, settings

from builders.http_fuzz import answers
from builders.net import quick_client
from builders.scripted_server import listening, read_head
from homeport.net.client import Client
from homeport.net.errors import NetError
from homeport.net.retries import ONCE

CASES = 4000 if os.environ.get("HOMEPORT_FULL") else 300


@dataclass(frozen=True)
class Answer:
    """What a client made of the bytes."""

    status: int
    body: bytes


class Server:
    """Sends the bytes that were put before the request, and closes."""

    def __init__(self) -> None:
        self.next: queue.Queue[bytes] = queue.Queue()

    def serve(self, sock: socket.socket, _number: int) -> None:
        read_head(sock)
        sock.sendall(self.next.get_nowait())


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Server, str]]:
    server = Server()
    with listening(server.serve, most=100_000) as port:
        yield server, f"http://127.0.0.1:{port}/x"


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with quick_client(stall=5.0) as client:
        yield client


@pytest.mark.peer("curl")
@settings(
    max_examples=CASES, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(raw=answers())
def test_an_answer_that_is_taken_is_taken_alike_by_others(
    server: tuple[Server, str], client: Client, raw: bytes
) -> None:
    ours = by_homeport(server, client, raw)
    if ours is not None:
        assert by_h11(raw) in (ours, None)
        assert by_curl(server, raw) in (ours, None)


def test_right_answers_are_not_refused(server: tuple[Server, str], client: Client) -> None:
    """The comparison above would hold for a client that refuses everything."""
    for raw in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1;a=b\r\no\r\n1\r\nk\r\n0\r\nA: b\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok",
        b"HTTP/1.0 200\nX: \x80\n\nok",
    ):
        answer = Answer(200, b"ok")
        assert by_homeport(server, client, raw) == answer
        assert by_h11(raw) in (answer, None)
        assert by_curl(server, raw) == answer


def by_homeport(server: tuple[Server, str], client: Client, raw: bytes) -> Answer | None:
    server[0].next.put(raw)
    try:
        with client.request("GET", server[1], rule=ONCE, follow=False) as response:
            return Answer(response.status, response.read())
    except NetError:
        return None


def by_curl(server: tuple[Server, str], raw: bytes) -> Answer | None:
    server[0].next.put(raw)
    done = subprocess.run(
        ["curl", "-q", "--silent", "--http1.1", "--max-time", "5", "--noproxy", "*",
         "--write-out", "%{stderr}%{http_code}", server[1]],
        capture_output=True, check=False,
    )  # fmt: skip
    return None if done.returncode else Answer(int(done.stderr), done.stdout)


def by_h11(raw: bytes) -> Answer | None:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/x", headers=[("Host", "127.0.0.1")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    status, body, ended = 0, b"", False
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if ended:
                    return None
                connection.receive_data(b"")
                ended = True
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, body)
            elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                return None
    except h11.RemoteProtocolError:
        return None
