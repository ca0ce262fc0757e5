"""GLib's hash table on disk (gvdb-format.h of gvdb): names with typed values or further tables.

Little-endian on every architecture, as GLib writes it. Names of one bucket are in byte order,
where GLib has the order of its hash table in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

_SIGNATURE = b"GVariant"
_ITEM = struct.Struct("<IIIHBxII")
_NONE = 0xFFFFFFFF


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Names below the root, and names beside it; a value is a variant in bytes, or a table."""

    below: Mapping[str, bytes | Table]
    beside: Mapping[str, bytes] = msgspec.field(default_factory=dict)


def gvdb(table: Table) -> bytes:
    writer = _Writer()
    start, end = writer.table(table)
    header = _SIGNATURE + struct.pack("<IIII", 0, 0, start, end)
    return header + bytes(writer.data[len(header) :])


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray(24)  # the header's place

    def table(self, table: Table) -> tuple[int, int]:
        names = {name.encode(): name for name in ("", *table.below, *table.beside)}
        buckets: list[list[bytes]] = [[] for _ in names]
        for name in sorted(names):
            buckets[_hash(name) % len(names)].append(name)
        order = [name for bucket in buckets for name in bucket]
        index = {name: at for at, name in enumerate(order)}
        place = self._allocate(4, bytes(8 + 4 * len(buckets) + _ITEM.size * len(order)))
        struct.pack_into("<II", self.data, place, 5 << 27, len(buckets))
        first = 0
        for at, bucket in enumerate(buckets):
            struct.pack_into("<I", self.data, place + 8 + 4 * at, first)
            first += len(bucket)
        items = place + 8 + 4 * len(buckets)
        for at, name in enumerate(order):
            key = len(self.data)
            self.data += name
            kind, start, end = self._value(names[name], table, index)
            parent = index[b""] if names[name] in table.below else _NONE
            _ITEM.pack_into(
                self.data, items + _ITEM.size * at, _hash(name), parent, key, len(name), kind,
                start, end,
            )  # fmt: skip
        return place, items + _ITEM.size * len(order)

    def _value(self, name: str, table: Table, index: Mapping[bytes, int]) -> tuple[int, int, int]:
        value = table.below.get(name, table.beside.get(name))
        if isinstance(value, Table):
            return ord("H"), *self.table(value)
        if value is not None:
            start = self._allocate(8, value)
            return ord("v"), start, len(self.data)
        if not table.below:
            return 0, 0, 0
        children = [index[each] for each in sorted(each.encode() for each in table.below)]
        start = self._allocate(4, struct.pack(f"<{len(children)}I", *children))
        return ord("L"), start, len(self.data)

    def _allocate(self, alignment: int, data: bytes) -> int:
        self.data += bytes(-len(self.data) % alignment)
        place = len(self.data)
        self.data += data
        return place


def _hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + (byte - 256 if byte > 127 else byte)) & 0xFFFFFFFF
    return value
