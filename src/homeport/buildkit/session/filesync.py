"""Sending a directory to the engine: fsutil's protocol, the sender's side.

All entries go first, as STAT packets in order; the engine asks for the files that it has
not, by their number; their contents follow. Packets are joined to pieces of about 64 KiB,
because a frame for each small file costs more than the file. Walking and reading happen
in a thread: a blocked event loop would miss the engine's health checks.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import msgspec

from homeport.buildkit.protobuf import BadMessage, decode, encode, varint
from homeport.buildkit.protocol.control import DATA, ERR, FIN, REQ, STAT, Packet, Stat
from homeport.buildkit.protocol.go_filemode import TYPES
from homeport.buildkit.protocol.grpc_client import stop
from homeport.buildkit.session.context_folder import BadContext, Filters, Folder
from homeport.copying.errors import shown
from homeport.errors import HomeportError

PIECE = 64 << 10  # of joined packets, and of small reads
CHUNK = 512 << 10  # of a large file; old engines take 4 MiB
_AHEAD = 1 << 16  # most file requests that wait


class Wire(Protocol):
    """A gRPC stream of length-prefixed messages."""

    async def send(self, data: bytes) -> None:
        """Whole messages, already prefixed; one caller after the other."""

    async def receive(self) -> bytes | None: ...


def framed(message: bytes) -> bytes:
    """A gRPC message: not compressed, its length, itself."""
    return b"\0" + len(message).to_bytes(4, "big") + message


async def send_folder(folder: Folder, filters: Filters, wire: Wire) -> None:
    """Serve one transfer until the engine has every file it requested. Raises ``BadContext``."""
    sending = _Sending(folder, filters, wire)
    try:
        await sending.run()
    except HomeportError as error:
        await wire.send(framed(encode(Packet(type=ERR, data=error.what.encode()))))
        raise


class _Sending(msgspec.Struct):
    folder: Folder
    filters: Filters
    wire: Wire
    #: By number: the path of a regular file, or nothing for what has no content.
    paths: list[bytes | None] = msgspec.field(default_factory=list)
    requested: deque[int] = msgspec.field(default_factory=deque)
    wake: asyncio.Event = msgspec.field(default_factory=asyncio.Event)

    async def run(self) -> None:
        stats = asyncio.ensure_future(self._send_stats())
        files = asyncio.ensure_future(self._send_files())
        finished = asyncio.ensure_future(self._listen())
        tasks: set[asyncio.Task[None]] = {stats, files, finished}
        try:
            pending = tasks
            while not finished.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            await self.wire.send(framed(encode(Packet(type=FIN))))
        finally:
            for task in tasks:
                await stop(task)

    async def _send_stats(self) -> None:
        pieces = self._stat_pieces()
        while piece := await asyncio.to_thread(next, pieces, b""):
            await self.wire.send(piece)

    def _stat_pieces(self) -> Iterator[bytes]:
        piece = bytearray()
        for entry in self.folder.entries(self.filters):
            regular = not entry.mode & TYPES and not entry.linkname
            self.paths.append(entry.path if regular else None)
            piece += framed(stat_message(entry))
            if len(piece) >= PIECE:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece) + framed(encode(Packet(type=STAT)))

    async def _listen(self) -> None:
        """Until the engine has everything."""
        while (data := await self.wire.receive()) is not None:
            packet = decode(Packet, data)
            if packet.type == REQ:
                if packet.id >= len(self.paths) or len(self.requested) > _AHEAD * 64:
                    raise BadMessage(f"the engine asked for file {packet.id}, which does not exist")
                self.requested.append(packet.id)
                self.wake.set()
            elif packet.type == FIN:
                return
            elif packet.type == ERR:
                text = packet.data.decode("utf-8", "replace")
                raise BadContext(f"the engine could not take the context: {text}")
        raise BadMessage("the engine ended the transfer early")

    async def _send_files(self) -> None:
        pieces = self._file_pieces()
        while True:
            await self.wake.wait()
            self.wake.clear()
            while piece := await asyncio.to_thread(next, pieces):
                await self.wire.send(piece)

    def _file_pieces(self) -> Iterator[bytes]:
        """Contents of requested files; an empty piece when there are none for now."""
        piece = bytearray()
        while True:
            while self.requested:
                number = self.requested.popleft()
                for chunk in self._chunks(number):
                    piece += framed(_data(number, chunk))
                    if len(piece) >= PIECE:
                        yield bytes(piece)
                        piece.clear()
            yield bytes(piece)
            piece.clear()

    def _chunks(self, number: int) -> Iterator[bytes]:
        """A file's content and the empty chunk that ends it."""
        path = self.paths[number]
        if path is None:
            raise BadMessage(f"the engine asked for the content of entry {number}, which has none")
        yield from self._read(path)
        yield b""

    def _read(self, path: bytes) -> Iterator[bytes]:
        descriptor = self.folder.open_file(path)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadContext(f"{shown(path)} is no longer a regular file")
            while chunk := os.read(descriptor, CHUNK):
                yield chunk
        except OSError as error:
            raise BadContext(f"cannot read {shown(path)}: {error.strerror}") from error
        finally:
            os.close(descriptor)


def stat_message(entry: Stat) -> bytes:
    """``encode(Packet(type=STAT, stat=entry))`` without the detour; contexts have many."""
    fields = [b"\x0a", varint(len(entry.path)), entry.path]
    if entry.mode:
        fields += (b"\x10", varint(entry.mode))
    if entry.size:
        fields += (b"\x28", varint(entry.size))
    if entry.mtime:
        fields += (b"\x30", varint(entry.mtime))
    if entry.linkname:
        fields += (b"\x3a", varint(len(entry.linkname)), entry.linkname)
    inner = b"".join(fields)
    if entry.devmajor or entry.devminor or entry.xattrs or entry.uid or entry.gid:
        inner = encode(entry)
    return b"\x12" + varint(len(inner)) + inner


def _data(number: int, chunk: bytes) -> bytes:
    """``encode(Packet(type=DATA, id=number, data=chunk))`` without the detour."""
    head = b"\x08%c" % DATA
    if number:
        head += b"\x18" + varint(number)
    return head + (b"\x22" + varint(len(chunk)) + chunk if chunk else b"")


__all__ = ["Filters", "Folder", "Stat", "Wire", "framed", "send_folder"]
