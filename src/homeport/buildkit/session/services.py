"""The services of a session, each made for what it offers: ``{method: function}`` to be joined.

Messages are BuildKit's; a function gets grpclib's stream and answers on it. What is not
offered is refused with NOT_FOUND or UNIMPLEMENTED, as engines expect; methods that engines
probe are registered although they refuse, because grpclib's own answer to an unknown method
is not one that grpc-go understands.
"""

from __future__ import annotations

import asyncio
import contextlib
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol import control
from homeport.buildkit.protocol.control import BytesMessage
from homeport.buildkit.protocol.grpc_client import stop
from homeport.buildkit.session.context_folder import Filters, Folder
from homeport.buildkit.session.filereceive import receive_folder
from homeport.buildkit.session.filesync import framed, send_folder
from homeport.buildkit.session.session import Service
from homeport.copying.errors import shown

_SERVING = 1
_SECRET_LIMIT = 500 << 10
_AGENT_PIECE = 32 << 10
_FILE_PIECE = 1 << 20


class Sink(Protocol):
    """Takes the bytes of one exported archive."""

    def write(self, data: bytes, /) -> Any: ...


class GrpcWire(msgspec.Struct):
    """``filesync.Wire`` over a server's stream: whole messages under one lock.

    grpclib's own sending is not atomic: two tasks on one stream would mix their frames.
    """

    stream: Any
    _lock: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)

    async def send(self, data: bytes) -> None:
        async with self._lock:
            if not self.stream._send_initial_metadata_done:
                await self.stream.send_initial_metadata()
            await self.stream._stream.send_data(data)
            self.stream._send_message_done = True

    async def receive(self) -> bytes | None:
        data: bytes | None = await self.stream.recv_message()
        return data


def health() -> dict[str, Service]:
    """Engines ask every five seconds and leave without an answer."""

    async def check(stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(encode(control.HealthResponse(status=_SERVING)))

    return {"/grpc.health.v1.Health/Check": check}


def file_sync(folders: Mapping[str, Folder]) -> dict[str, Service]:
    """Local directories by the names that the build knows them by."""

    async def diff_copy(stream: Any) -> None:
        name = _header(stream, "dir-name")
        folder = folders.get(name)
        if folder is None:
            raise GRPCError(Status.NOT_FOUND, f"no access allowed to dir {name!r}")
        filters = Filters(
            follow=_headers(stream, "followpaths"),
            include=_headers(stream, "include-patterns"),
            exclude=_headers(stream, "exclude-patterns"),
        )
        await send_folder(folder, filters, GrpcWire(stream))

    return {"/moby.filesync.v1.FileSync/DiffCopy": diff_copy}


def file_send(sinks: Sequence[Sink | Path], warn: Callable[[str], None]) -> dict[str, Service]:
    """Places for results, in the order of the exporters: an archive's sink, or a directory."""

    async def diff_copy(stream: Any) -> None:
        number = _header(stream, "buildkit-attachable-exporter-id") or "0"
        if not (number.isascii() and number.isdigit() and int(number[:9]) < len(sinks)):
            raise GRPCError(Status.NOT_FOUND, f"unknown exporter {number[:9]}")
        sink = sinks[int(number)]
        if isinstance(sink, Path):
            received = await receive_folder(sink, GrpcWire(stream))
            if received.skipped:
                warn(
                    f"{sink}: skipped {len(received.skipped)} devices, FIFOs and sockets, such as"
                    f" {shown(received.skipped[0])}"
                )
        else:
            await _receive_file(sink, stream)

    return {"/moby.filesync.v1.FileSend/DiffCopy": diff_copy}


async def _receive_file(sink: Sink, stream: Any) -> None:
    """Engines send 4 KiB at a time; a thread is asked for each ``_FILE_PIECE`` only."""
    piece = bytearray()
    while (data := await stream.recv_message()) is not None:
        piece += decode(BytesMessage, data).data
        if len(piece) >= _FILE_PIECE:
            await asyncio.to_thread(sink.write, bytes(piece))
            piece.clear()
    await asyncio.to_thread(sink.write, bytes(piece))
    await stream.send_initial_metadata()


def secret_values(find: Callable[[str], bytes | None]) -> dict[str, Service]:
    """Secrets by their id."""

    async def get(stream: Any) -> None:
        request = decode(control.SecretRequest, await stream.recv_message())
        value = find(request.id)
        if value is None:
            raise GRPCError(Status.NOT_FOUND, f"secret {request.id} not found")
        if len(value) > _SECRET_LIMIT:
            raise GRPCError(Status.INVALID_ARGUMENT, f"secret {request.id} is over 500 KiB")
        await stream.send_message(encode(control.SecretResponse(data=value)))

    return {"/moby.buildkit.secrets.v1.Secrets/GetSecret": get}


def ssh_agents(sockets: Mapping[str, Path]) -> dict[str, Service]:
    """ssh agents by id; each stream of the engine is a connection to the agent."""

    def find(id: str) -> Path:
        path = sockets.get(id or "default")
        if path is None:
            raise GRPCError(Status.NOT_FOUND, f"no ssh agent {id or 'default'!r}")
        return path

    async def check(stream: Any) -> None:
        find(decode(control.AgentRequest, await stream.recv_message()).id)
        await stream.send_message(b"")

    async def forward(stream: Any) -> None:
        reader, writer = await asyncio.open_unix_connection(
            str(find(_header(stream, "buildkit.ssh.id")))
        )

        async def answers() -> None:
            while data := await reader.read(_AGENT_PIECE):
                await stream.send_message(encode(BytesMessage(data=data)))

        answering = asyncio.ensure_future(answers())
        try:
            while (data := await stream.recv_message()) is not None:
                writer.write(decode(BytesMessage, data).data)
                await writer.drain()
        finally:
            writer.close()  # first: we may be called off while we wait
            await stop(answering)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return {
        "/moby.sshforward.v1.SSH/CheckAgent": check,
        "/moby.sshforward.v1.SSH/ForwardAgent": forward,
    }


def uploads(bodies: Mapping[str, Callable[[], Any]]) -> dict[str, Service]:
    """Tar archives that stand for a context: ``http://buildkit-session/ID``."""

    async def pull(stream: Any) -> None:
        open_body = bodies.get(_header(stream, "urlpath").strip("/"))
        if open_body is None:
            raise GRPCError(Status.NOT_FOUND, "no such upload")
        wire = GrpcWire(stream)
        with open_body() as body:
            while data := await asyncio.to_thread(body.read, 1 << 20):
                await wire.send(framed(encode(BytesMessage(data=data))))

    return {"/moby.upload.v1.Upload/Pull": pull}


def _header(stream: Any, name: str) -> str:
    value = stream.metadata.get(name, "")
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _headers(stream: Any, name: str) -> list[bytes]:
    """Values of a repeated header; new engines escape them and say so."""
    values = [str(value) for value in stream.metadata.getall(name, [])]
    if _header(stream, f"{name}-encoded") == "1":
        values = [urllib.parse.unquote_plus(value) for value in values]
    return [value.encode() for value in values]
