"""The engine's side of fsutil's protocol, fed into Homeport's own sender and receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from homeport.buildkit.protobuf import decode, encode
from homeport.buildkit.protocol.control import DATA, ERR, FIN, REQ, STAT, Packet, Stat


def entry(path: str | bytes, mode: int = 0o644, **more: object) -> Packet:
    """The STAT of one entry."""
    raw = path.encode() if isinstance(path, str) else path
    return Packet(type=STAT, stat=Stat(path=raw, mode=mode, **more))  # type: ignore[arg-type]


def content(number: int, data: bytes = b"") -> Packet:
    """A piece of the content of entry ``number``; an empty one ends it."""
    return Packet(type=DATA, id=number, data=data)


def file(number: int, path: str, data: bytes, **more: object) -> list[Packet]:
    """A whole file, of which the content comes at once."""
    pieces = [content(number, data)] if data else []
    return [entry(path, **more), *pieces, content(number)]  # type: ignore[arg-type]


ALL_LISTED = Packet(type=STAT)
FINISHED = Packet(type=FIN)
END = (ALL_LISTED, FINISHED)


class Replayed:
    """A ``filesync.Wire``: an engine that sends these packets, whatever it is told."""

    def __init__(self, packets: Iterable[Packet]) -> None:
        self._packets = iter(packets)
        self.received: list[Packet] = []

    async def send(self, data: bytes) -> None:
        self.received += packets_of(data)

    async def receive(self) -> bytes | None:
        await asyncio.sleep(0)
        packet = next(self._packets, None)
        return None if packet is None else encode(packet)


class Greedy:
    """A ``filesync.Wire``: an engine that asks for every file that it is told of."""

    def __init__(self) -> None:
        self.entries: list[Stat] = []
        self.contents: dict[int, bytes] = {}
        self.refused = ""
        self._wanted: list[int] | None = None
        self._ended: set[int] = set()

    @property
    def files(self) -> Mapping[str, bytes]:
        """Contents by path."""
        return {self.entries[at].path.decode(): self.contents[at] for at in sorted(self._ended)}

    async def send(self, data: bytes) -> None:
        for packet in packets_of(data):
            if packet.type == ERR:
                self.refused = packet.data.decode()
            elif packet.type == STAT and packet.stat is not None:
                self.entries.append(packet.stat)
            elif packet.type == STAT:
                regular = [at for at, each in enumerate(self.entries) if not each.mode >> 16]
                self._wanted = [at for at in regular if not self.entries[at].linkname]
                self._requests = list(self._wanted)
            elif packet.type == DATA and packet.data:
                self.contents[packet.id] = self.contents.get(packet.id, b"") + packet.data
            elif packet.type == DATA:
                self.contents.setdefault(packet.id, b"")
                self._ended.add(packet.id)

    async def receive(self) -> bytes | None:
        while self._wanted is None or (not self._requests and len(self._ended) < len(self._wanted)):
            await asyncio.sleep(0.001)
        if self._requests:
            return encode(Packet(type=REQ, id=self._requests.pop(0)))
        return encode(FINISHED)


def packets_of(data: bytes) -> list[Packet]:
    """Packets out of gRPC's framing."""
    found = []
    while data:
        size = int.from_bytes(data[1:5], "big")
        found.append(decode(Packet, data[5 : 5 + size]))
        data = data[5 + size :]
    return found
