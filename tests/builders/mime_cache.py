"""mime.cache, version 1.2, as nested lists of what its numbers point at."""

from __future__ import annotations

import struct
from typing import Any


def read_mime_cache(data: bytes) -> dict[str, Any]:
    major, minor, *starts = struct.unpack_from(">HH10I", data)
    assert (major, minor) == (1, 2)
    alias, parent, literal, suffix, glob, magic, space, icon, generic, types = starts
    reader = _Reader(data)
    return {
        "aliases": reader.map(alias, "tt"),
        "parents": [
            (reader.text(type_), reader.map(place, "t"))
            for type_, place in reader.map(parent, "nn")
        ],
        "literals": reader.map(literal, "ttn"),
        "suffixes": reader.suffixes(*reader.numbers(suffix, 2)),
        "globs": reader.map(glob, "ttn"),
        "magic": reader.magic(magic),
        "namespaces": reader.map(space, "ttt"),
        "icons": reader.map(icon, "tt"),
        "generic icons": reader.map(generic, "tt"),
        "types": len(reader.map(types, "n")),
    }


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def numbers(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f">{count}I", self._data, at)

    def text(self, at: int) -> str:
        return self._data[at : self._data.index(b"\0", at)].decode()

    def map(self, at: int, columns: str) -> list[Any]:
        (count,) = self.numbers(at, 1)
        found = []
        for row in range(count):
            values = self.numbers(at + 4 + 4 * len(columns) * row, len(columns))
            shown = [
                self.text(each) if column == "t" else each
                for column, each in zip(columns, values, strict=True)
            ]
            found.append(tuple(shown) if len(shown) > 1 else shown[0])
        return found

    def suffixes(self, count: int, at: int) -> list[Any]:
        found: list[Any] = []
        for row in range(count):
            char, second, third = self.numbers(at + 12 * row, 3)
            inner = (self.text(second), third) if char == 0 else self.suffixes(second, third)
            found.append((char, inner))
        return found

    def magic(self, at: int) -> tuple[int, list[Any]]:
        count, extent, first = self.numbers(at, 3)
        found = []
        for row in range(count):
            priority, type_, matches, place = self.numbers(first + 16 * row, 4)
            found.append((priority, self.text(type_), self._matches(matches, place)))
        return extent, found

    def _matches(self, count: int, at: int) -> list[Any]:
        found = []
        for row in range(count):
            start, length, word, size, value, mask, inner, place = self.numbers(at + 32 * row, 8)
            data = self._data[value : value + size]
            masked = self._data[mask : mask + size] if mask else b""
            found.append((start, length, word, data, masked, self._matches(inner, place)))
        return found
