"""What an engine sends: a result's packets into a directory, statuses, details of errors."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from builders.engine_wire import END, content, entry, file
from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol.control import Packet, StatusResponse, Vertex, VertexLog
from homeport.buildkit.protocol.errors import details
from homeport.buildkit.protocol.gateway import ResultMetadata
from homeport.buildkit.protocol.go_filemode import DIRECTORY, SYMLINK
from homeport.buildkit.session.filereceive import receive_folder
from homeport.buildkit.session.filesync import framed
from homeport.buildkit.status import Steps
from homeport.errors import HomeportError

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


class _Wire:
    """Messages in gRPC's framing; a broken frame ends the stream."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def send(self, data: bytes) -> None:
        pass

    async def receive(self) -> bytes | None:
        size = int.from_bytes(self._data[1:5], "big")
        if len(self._data) < 5 or size > len(self._data) - 5:
            return None
        message, self._data = self._data[5 : 5 + size], self._data[5 + size :]
        return message


def fuzz_one(data: bytes) -> None:
    """Nothing outside the directory changes, whatever the packets say."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name, "in/out")
        with contextlib.suppress(HomeportError):
            asyncio.run(receive_folder(out, _Wire(data)))
        assert sorted(path.name for path in Path(name).iterdir()) == ["in"]
        assert sorted(path.name for path in Path(name, "in").iterdir()) == ["out"]
        special = [p for p in out.rglob("*") if not (p.is_dir() or p.is_file() or p.is_symlink())]
        assert special == []
    steps = Steps()
    with contextlib.suppress(HomeportError):
        steps.feed(decode(StatusResponse, data))
        steps.finish()
    with contextlib.suppress(HomeportError):
        decode(ResultMetadata, data)
    list(details(data))


def seeds() -> list[bytes]:
    """A small result, and a status."""
    packets = [
        entry("d", DIRECTORY | 0o755), *file(1, "d/f", b"one", xattrs={"user.a": b"1"}),
        entry("h", linkname=b"d/f"), entry("l", SYMLINK | 0o777, linkname=b"d"),
        entry("z"), content(4, b"x"), content(4), *END,
    ]  # fmt: skip
    vertex = Vertex(digest="sha256:a", name="[1/1] COPY a b", started=1, completed=2)
    log = VertexLog(vertex="sha256:a", msg=b"line\nrest", stream=1)
    return [
        b"".join(framed(encode(packet)) for packet in packets),
        encode(StatusResponse(vertexes=(vertex,), logs=(log,))),
        framed(encode(Packet())),
    ]
