"""gRPC over a pair of pipes, against h2 as the server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded

from homeport.buildkit.protobuf import message, text
from homeport.frontend.greeting import greet
from homeport.frontend.pipe_calls import CallRefused, EngineGone, PipeCalls

Answer = Callable[[H2Connection, int, bytes], None]


@message
class Said:
    word: str = text(1)


def grpc(body: bytes) -> bytes:
    return b"\0" + len(body).to_bytes(4, "big") + body


def answered(connection: H2Connection, stream: int, body: bytes) -> None:
    connection.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
    connection.send_data(stream, body)
    connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)


def refused(connection: H2Connection, stream: int, _body: bytes) -> None:
    headers = [(":status", "200"), ("grpc-status", "5"), ("grpc-message", "no%20file")]
    connection.send_headers(stream, headers, end_stream=True)


def reset(connection: H2Connection, stream: int, _body: bytes) -> None:
    connection.reset_stream(stream)


class Server(threading.Thread):
    """Answers each call; ``received`` are the messages of the calls."""

    def __init__(self, read: int, write: int) -> None:
        super().__init__(daemon=True)
        self.read, self.write = read, write
        self.answer: Answer = lambda connection, stream, body: answered(
            connection, stream, grpc(body)
        )
        self.received: list[bytes] = []

    def run(self) -> None:
        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        bodies: dict[int, bytes] = {}
        while True:
            os.write(self.write, connection.data_to_send())
            data = os.read(self.read, 1 << 16)
            if not data:
                return
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
                elif isinstance(event, StreamEnded):
                    body = bodies.pop(event.stream_id)
                    self.received.append(body[5:])
                    self.answer(connection, event.stream_id, body[5:])


@pytest.fixture
def served() -> Iterator[tuple[Server, PipeCalls]]:
    (there, out), (back, here) = os.pipe(), os.pipe()
    server = Server(there, here)
    server.start()
    yield server, PipeCalls("/service/", back, out)
    os.close(out)
    server.join()
    for each in (there, back, here):
        os.close(each)


def test_calls_follow_each_other_and_large_messages_pass(served: tuple[Server, PipeCalls]) -> None:
    server, calls = served
    large = Said(word="x" * 300_000)  # beyond the windows that HTTP/2 begins with
    server.answer = lambda connection, stream, _body: answered(connection, stream, grpc(b"ok"))
    assert calls.call("One", Said(word="a")) == b"ok"
    assert calls.call("Two", large) == b"ok"
    assert len(server.received[1]) > 300_000


def test_the_engine_may_be_greeted_before_the_client_is_there() -> None:
    (there, out), (back, here) = os.pipe(), os.pipe()
    server = Server(there, here)
    server.answer = lambda connection, stream, _body: answered(connection, stream, grpc(b"ok"))
    greet(out)
    server.start()
    calls = PipeCalls("/service/", back, out, greeted=True)
    assert [calls.call("One", Said(word="a")), calls.call("Two", Said(word="b"))] == [b"ok", b"ok"]
    os.close(out)
    server.join()
    for each in (there, back, here):
        os.close(each)


def test_nothing_but_the_standard_library_is_loaded_before_the_greeting() -> None:
    program = (
        "import sys; import homeport.frontend.start\n"
        "print(sorted({name for name in sys.modules if name.startswith('homeport')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    inside = [f"homeport.frontend{name}" for name in ("", ".greeting", ".start")]
    assert done.stdout == f"{['homeport', *inside]}\n"


def test_the_engines_error_is_told(served: tuple[Server, PipeCalls]) -> None:
    server, calls = served
    server.answer = refused
    with pytest.raises(CallRefused, match="no file"):
        calls.call("ReadFile", Said(word="a"))
    server.answer = lambda connection, stream, _body: answered(connection, stream, grpc(b"ok"))
    assert calls.call("ReadFile", Said(word="b")) == b"ok"


@pytest.mark.parametrize("body", [b"", b"\1\0\0\0\0", b"\0\0"])
def test_what_is_not_grpc_is_an_error(served: tuple[Server, PipeCalls], body: bytes) -> None:
    server, calls = served
    server.answer = lambda connection, stream, _body: answered(connection, stream, body)
    with pytest.raises(EngineGone, match="not a gRPC message"):
        calls.call("Solve", Said())


def test_a_call_that_the_engine_ends_is_an_error(served: tuple[Server, PipeCalls]) -> None:
    server, calls = served
    server.answer = reset
    with pytest.raises(EngineGone, match="ended the call Solve"):
        calls.call("Solve", Said())


def test_an_engine_that_goes_away_is_an_error() -> None:
    (there, out), (back, here) = os.pipe(), os.pipe()
    calls = PipeCalls("/service/", back, out)
    os.close(here)
    with pytest.raises(EngineGone, match="closed the connection"):
        calls.call("Ping", Said())
    for each in (there, out, back):
        os.close(each)
