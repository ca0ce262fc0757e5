"""A session: the services that an engine calls back while it builds for us.

The engine is the gRPC client here. A ``Session`` collects what a build offers (directories,
secrets, agents, credentials, places for results) and serves exactly that; dockerd gets it
on an upgraded ``/session`` connection, buildkitd through the ``Control.Session`` tunnel.
Services themselves are functions in ``session_services``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpclib.const
import grpclib.server
import msgspec
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.protocol import H2Protocol

from homeport.buildkit.engine import Connected
from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol.control import CONTROL, BytesMessage
from homeport.buildkit.protocol.errors import EngineLost
from homeport.buildkit.protocol.grpc_client import (
    Bytes,
    RawDetails,
    bound_messages,
    stop,
    widen_headers,
)
from homeport.buildkit.protocol.streams import upgrade
from homeport.errors import HomeportError

Call = "grpclib.server.Stream[bytes, bytes]"
Service = Callable[[Any], Awaitable[None]]
_TUNNEL_PIECE = 64 << 10


class Session(msgspec.Struct):
    """What one build offers. ``failure``: our own error, with more detail than the engine got."""

    services: dict[str, Service]
    id: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    shared_key: str = ""
    failure: HomeportError | None = None

    def server(self) -> grpclib.server.Server:
        """A gRPC server for the services, not listening anywhere."""
        handlers = {
            name: grpclib.const.Handler(
                self._guarded(service), Cardinality.STREAM_STREAM, bytes, bytes
            )
            for name, service in self.services.items()
        }
        server = grpclib.server.Server(
            [_Mapping(handlers)], codec=Bytes(), status_details_codec=RawDetails()
        )
        # Follow-paths of old engines are UTF-8 as it is; ASCII would end the session.
        server._h2_config.header_encoding = "utf-8"
        return server

    def _guarded(self, service: Service) -> Service:
        async def call(stream: Any) -> None:
            bound_messages(stream)
            try:
                await service(stream)
            except HomeportError as error:
                if self.failure is None:
                    self.failure = error
                raise GRPCError(Status.UNKNOWN, error.what) from error
            except (StreamTerminatedError, ConnectionError) as error:
                raise GRPCError(Status.CANCELLED, str(error)) from error
            except OSError as error:
                if self.failure is None:
                    self.failure = HomeportError(f"{error.strerror or error}")
                raise GRPCError(Status.UNKNOWN, str(error)) from error

        return call

    def headers(self) -> list[tuple[str, str]]:
        """What introduces the session. Empty values are left out: engines refuse them."""
        found = [("X-Docker-Expose-Session-Uuid", self.id)]
        if self.shared_key:
            found.append(("X-Docker-Expose-Session-Sharedkey", self.shared_key))
        found += [("X-Docker-Expose-Session-Grpc-Method", name) for name in sorted(self.services)]
        return found


class _Mapping:
    """What grpclib calls a servable."""

    def __init__(self, handlers: Mapping[str, grpclib.const.Handler]) -> None:
        self._handlers = handlers

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        return dict(self._handlers)


def shared_key(*parts: str) -> str:
    """A key under which the engine keeps what we sent, so that only changes travel again."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


@asynccontextmanager
async def attached(session: Session, connection: Connected) -> AsyncIterator[None]:
    """Serve the session for the length of the block."""
    if connection.kind == "docker":
        async with _upgraded(session, connection):
            yield
    else:
        async with _tunnelled(session, connection):
            yield


@asynccontextmanager
async def _upgraded(session: Session, connection: Connected) -> AsyncIterator[None]:
    server = session.server()
    factory = _factory(server)
    protocol = await upgrade(connection.engine.opener, "/session", session.headers(), factory)
    widen_headers(protocol)
    try:
        yield
    finally:
        await _close(protocol)


@asynccontextmanager
async def _tunnelled(session: Session, connection: Connected) -> AsyncIterator[None]:
    """The inner connection's bytes as messages of a call; a socket pair lies between."""
    server = session.server()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_connection(_factory(server), sock=ours)
    widen_headers(protocol)
    metadata = [(name.lower(), value) for name, value in session.headers()]
    try:
        async with connection.calls.both_ways(CONTROL + "Session", metadata) as stream:
            upward = asyncio.ensure_future(_pump_up(theirs, stream))
            downward = asyncio.ensure_future(_pump_down(theirs, stream))
            try:
                yield
            finally:
                await stop(upward)
                await stop(downward)
                await _close(protocol)
                with contextlib.suppress(GRPCError, StreamTerminatedError, ConnectionError):
                    await stream.cancel()
    finally:
        theirs.close()


async def _pump_up(sock: socket.socket, stream: Any) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(StreamTerminatedError, ConnectionError):
        while data := await loop.sock_recv(sock, _TUNNEL_PIECE):
            await stream.send_message(encode(BytesMessage(data=data)))


async def _pump_down(sock: socket.socket, stream: Any) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(StreamTerminatedError, ConnectionError, GRPCError):
        async for data in stream:
            await loop.sock_sendall(sock, decode(BytesMessage, data).data)


def _factory(server: grpclib.server.Server) -> Callable[[], H2Protocol]:
    return server._protocol_factory


async def _close(protocol: H2Protocol) -> None:
    """End the connection and wait for its handlers."""
    protocol.processor.close()
    handler = protocol.handler
    assert isinstance(handler, grpclib.server.Handler)
    await handler.wait_closed()


__all__ = ["EngineLost", "Session", "attached", "shared_key"]
