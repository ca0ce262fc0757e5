"""/etc/ld.so.cache as a list, to compare two files whose strings are in another order."""

from __future__ import annotations

import struct

_EXTENSION = 1 << 62


def cached(data: bytes) -> list[tuple[int, str, str, str]]:
    """Flags, name, path and folder below glibc-hwcaps of every entry, in the file's order."""
    order = ">" if data[28] == 3 else "<"
    count, _, _, extension = struct.unpack_from(f"{order}IIB3xI", data, 20)
    assert data.startswith(b"glibc-ld.so.cache1.1")
    hwcaps = _hwcaps(data, order, extension) if extension else []
    found = []
    for number in range(count):
        flags, key, value, _, mask = struct.unpack_from(f"{order}iIIIQ", data, 48 + 24 * number)
        name = hwcaps[mask & 0xFFFFFFFF] if mask & _EXTENSION else ""
        found.append((flags, _text(data, key), _text(data, value), name))
    return found


def _hwcaps(data: bytes, order: str, extension: int) -> list[str]:
    magic, sections = struct.unpack_from(f"{order}II", data, extension)
    assert magic == 0xEAA42174
    for section in range(sections):
        at = extension + 8 + 16 * section
        tag, _, offset, size = struct.unpack_from(f"{order}IIII", data, at)
        if tag == 1:
            places = struct.unpack_from(f"{order}{size // 4}I", data, offset)
            return [_text(data, place) for place in places]
    return []


def _text(data: bytes, place: int) -> str:
    return data[place : data.index(b"\0", place)].decode()
