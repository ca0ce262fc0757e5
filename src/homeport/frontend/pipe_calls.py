"""gRPC over HTTP/2 on two file descriptors, one call after the other: how a frontend speaks.

BuildKit starts a frontend's image with its gateway on standard input and output, and waits
for the HTTP/2 preface of a client there. ``grpclib`` (``buildkit.protocol.grpc_client``) needs
a socket; a pair of pipes is none, so ``h2`` is driven here directly.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from homeport.buildkit.protobuf import encode
from homeport.errors import HomeportError
from homeport.frontend.greeting import PREFACE
from homeport.quantities import human_size

_READ = 1 << 16
#: BuildKit itself sends messages up to 16 MiB.
_MOST = 17 << 20


class EngineGone(HomeportError):
    """The engine closed the connection, or what it sends is not gRPC."""

    id = "engine-gone"


class CallRefused(HomeportError):
    """The engine answered a call with an error; ``what`` is the engine's text."""

    id = "engine-refused"


class PipeCalls:
    """A gRPC client; ``read`` and ``write`` are file descriptors.

    greeted: whether the first bytes were sent before (``homeport.frontend.greeting``)
    """

    def __init__(
        self, service: str, read: int = 0, write: int = 1, *, greeted: bool = False
    ) -> None:
        self._service = service
        self._read, self._write = read, write
        self._connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._connection.initiate_connection()
        self._send(PREFACE if greeted else b"")

    def call(self, method: str, request: Any) -> bytes:
        """The encoded answer. Raises ``CallRefused`` and ``EngineGone``."""
        message = encode(request)
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(
            stream,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"{self._service}{method}"),
                (":authority", "localhost"),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
            ],
        )
        answer = _Answer(method, stream)
        body = memoryview(b"\0" + len(message).to_bytes(4, "big") + message)
        while body or not answer.ended:
            if body:
                window = self._connection.local_flow_control_window(stream)
                size = min(window, self._connection.max_outbound_frame_size, len(body))
                if size > 0:
                    last = size == len(body)
                    self._connection.send_data(stream, bytes(body[:size]), end_stream=last)
                    body = body[size:]
                    self._send()
                    continue
            self._receive(answer)
            if answer.ended:
                break
        return answer.message()

    def _send(self, already_sent: bytes = b"") -> None:
        view = memoryview(self._connection.data_to_send().removeprefix(already_sent))
        while view:
            view = view[os.write(self._write, view) :]

    def _receive(self, answer: _Answer) -> None:
        data = os.read(self._read, _READ)
        if not data:
            raise EngineGone(f"the engine closed the connection during {answer.method}")
        try:
            for event in self._connection.receive_data(data):
                if isinstance(event, DataReceived) and event.stream_id is not None:
                    self._connection.acknowledge_received_data(
                        event.flow_controlled_length or 0, event.stream_id
                    )
                answer.take(event)
        except ProtocolError as error:
            raise EngineGone(f"invalid HTTP/2 from the engine: {error}") from error
        self._send()


class _Answer:
    """What came back of one call so far."""

    def __init__(self, method: str, stream: int) -> None:
        self.method = method
        self.ended = False
        self._stream = stream
        self._body = bytearray()
        self._status = "0"
        self._text = ""

    def take(self, event: Any) -> None:
        if getattr(event, "stream_id", None) != self._stream:
            return
        if isinstance(event, DataReceived):
            self._body += event.data or b""
            if len(self._body) > _MOST:
                most = human_size(_MOST)
                raise EngineGone(f"the engine's answer to {self.method} is larger than {most}")
        elif isinstance(event, ResponseReceived | TrailersReceived):
            headers = {str(key): str(value) for key, value in event.headers or ()}
            self._status = headers.get("grpc-status", self._status)
            self._text = unquote(headers.get("grpc-message", self._text))
        elif isinstance(event, StreamReset):
            raise EngineGone(f"the engine ended the call {self.method}")
        elif isinstance(event, StreamEnded):
            self.ended = True

    def message(self) -> bytes:
        if self._status != "0":
            raise CallRefused(self._text or f"{self.method}: gRPC status {self._status}")
        if len(self._body) < 5 or self._body[0] != 0:
            raise EngineGone(f"the engine's answer to {self.method} is not a gRPC message")
        return bytes(self._body[5 : 5 + int.from_bytes(self._body[1:5], "big")])
