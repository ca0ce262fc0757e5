"""gRPC over such a stream, by grpclib: calls to the engine, and the pieces a server needs.

Messages are bytes to grpclib; ``homeport.buildkit.protobuf`` encodes them.
The version of grpclib is pinned, because protocols for sockets that are already open are
its private business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpclib.client
from grpclib.const import Cardinality, Status
from grpclib.encoding.base import CodecBase, StatusDetailsCodecBase
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol
from h2.settings import SettingCodes

from homeport.buildkit.protobuf import BadMessage, decode, encode
from homeport.buildkit.protocol.errors import EngineLost, refused
from homeport.quantities import human_size

M = TypeVar("M")
#: Follow-paths and excludes travel as headers; h2 alone would stop at 64 KiB.
HEADER_LIMIT = 16 << 20
#: Bytes of a gRPC message; pieces of exports and LLB stay far below.
MESSAGE_LIMIT = 64 << 20


class Bytes(CodecBase):
    """Messages are encoded and decoded by their users."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        assert isinstance(message, bytes)
        return message

    def decode(self, data: bytes, message_type: Any) -> bytes:
        return data


class RawDetails(StatusDetailsCodecBase):
    """Error details as they came; ``errors.details`` reads them."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        assert isinstance(details, bytes)
        return details

    def decode(self, status: Status, message: str | None, data: bytes) -> bytes:
        return data


class _Channel(grpclib.client.Channel):
    """A channel over a stream that the caller opens."""

    def __init__(self, connect: Callable[[Callable[[], H2Protocol]], Awaitable[H2Protocol]]):
        super().__init__(
            "localhost", 80, codec=Bytes(), status_details_codec=RawDetails()
        )  # the name is for the :authority header alone
        self._connect_stream = connect

    async def _create_connection(self) -> H2Protocol:
        return await self._connect_stream(self._protocol_factory)


class Calls:
    """Calls to one engine over one connection, inside the event loop."""

    def __init__(
        self, connect: Callable[[Callable[[], H2Protocol]], Awaitable[H2Protocol]]
    ) -> None:
        self._channel = _Channel(connect)

    async def connect(self) -> None:
        await self._channel.__connect__()

    async def unary(
        self, method: str, request: Any, reply: type[M], *, doing: str,
        metadata: Mapping[str, str] | None = None, timeout: float | None = None,
    ) -> M:  # fmt: skip
        """One request, one reply. Raises ``EngineRefused`` and ``EngineLost``."""
        with mapped(doing):
            data = await self.raw_unary(method, request, metadata=metadata, timeout=timeout)
        return decode(reply, data)

    async def raw_unary(
        self, method: str, request: Any, *, metadata: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:  # fmt: skip
        """The same with grpclib's own errors, for callers that read their details."""
        call = self._channel.request(
            method, Cardinality.UNARY_UNARY, bytes, bytes, metadata=metadata, timeout=timeout
        )
        async with call as stream:
            await stream.send_message(encode(request), end=True)
            bound_messages(stream)
            data = await stream.recv_message()
            await stream.recv_trailing_metadata()
        assert data is not None
        return data

    async def listen(
        self, method: str, request: Any, reply: type[M], *, doing: str
    ) -> AsyncIterator[M]:
        """One request, many replies."""
        with mapped(doing):
            call = self._channel.request(method, Cardinality.UNARY_STREAM, bytes, bytes)
            async with call as stream:
                await stream.send_message(encode(request), end=True)
                bound_messages(stream)
                async for data in stream:
                    yield decode(reply, data)

    @asynccontextmanager
    async def both_ways(
        self, method: str, metadata: Any
    ) -> AsyncIterator[grpclib.client.Stream[bytes, bytes]]:
        """A stream in both directions."""
        call = self._channel.request(
            method, Cardinality.STREAM_STREAM, bytes, bytes, metadata=metadata
        )
        async with call as stream:
            await stream.send_request()
            bound_messages(stream)
            yield stream

    def close(self) -> None:
        self._channel.close()


class mapped:  # noqa: N801  reads as a statement: with mapped("list its workers")
    """Turns grpclib's errors into ours."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, GRPCError):
            raise refused(error, self._doing) from error
        if isinstance(error, (StreamTerminatedError, ConnectionError)):
            raise EngineLost(
                f"the connection to the engine broke when it should {self._doing}: {error}"
            ) from error


def bound_messages(stream: Any) -> None:
    """Refuse messages of more than ``MESSAGE_LIMIT``; grpclib itself would buffer 4 GiB."""
    receive = stream._stream.recv_data

    async def recv_data(size: int) -> bytes:
        if size > MESSAGE_LIMIT:
            raise BadMessage(f"the engine sent a message of more than {human_size(MESSAGE_LIMIT)}")
        data: bytes = await receive(size)
        return data

    stream._stream.recv_data = recv_data


def widen_headers(protocol: H2Protocol) -> None:
    """Let the peer send header blocks of up to ``HEADER_LIMIT`` on this connection."""
    h2 = protocol.connection._connection
    h2.update_settings({SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIMIT})
    h2.decoder.max_header_list_size = HEADER_LIMIT
    protocol.connection.flush()


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
