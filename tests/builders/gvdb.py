"""GLib's hash table on disk, read as nested names with the bytes of their values."""

from __future__ import annotations

import struct
from typing import Any

_NONE = 0xFFFFFFFF


def read_gvdb(data: bytes) -> dict[str, Any]:
    assert data[:16] == b"GVariant" + bytes(8)
    return _table(data, *struct.unpack_from("<II", data, 16))


def _table(data: bytes, start: int, end: int) -> dict[str, Any]:
    bloom, buckets = struct.unpack_from("<II", data, start)
    assert bloom & 0x7FFFFFF == 0
    firsts = struct.unpack_from(f"<{buckets}I", data, start + 8)
    at = start + 8 + 4 * buckets
    count = (end - at) // 24
    items = [struct.unpack_from("<IIIHBxII", data, at + 24 * each) for each in range(count)]
    names = [data[key : key + size].decode() for _, _, key, size, *_ in items]
    found: dict[str, Any] = {}
    for number, (hashed, parent, _, _, kind, first, last) in enumerate(items):
        name = names[number] if parent == _NONE else names[parent] + names[number]
        value = 5381
        for byte in name.encode():
            value = (value * 33 + byte) & _NONE
        assert hashed == value
        bucket = hashed % buckets
        following = firsts[bucket + 1] if bucket + 1 < buckets else count
        assert firsts[bucket] <= number < following
        match chr(kind):
            case "H":
                found[name] = _table(data, first, last)
            case "v":
                assert first % 8 == 0
                found[name] = data[first:last]
            case "L":
                children = struct.unpack_from(f"<{(last - first) // 4}I", data, first)
                found[name] = [names[child] for child in children]
            case _:
                found[name] = None
    return found
