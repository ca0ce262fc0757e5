"""rpm's databases made in memory: headers, and ndb's slots that point to them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Value = str | Sequence[str] | Sequence[int]
TAGS: dict[str, int] = {
    "name": 1000, "version": 1001, "release": 1002, "epoch": 1003, "basenames": 1117,
    "dirnames": 1118, "dirindexes": 1116, "digests": 1035, "flags": 1037, "algorithm": 5011,
}  # fmt: skip


def header(**fields: Value) -> bytes:
    data, entries = b"", b""
    for name, value in fields.items():
        kind, raw, count = 6, b"", 1
        if isinstance(value, str):
            raw = value.encode() + b"\0"
        else:
            count = len(value)
            numbers = [one for one in value if isinstance(one, int)]
            kind = 4 if numbers else 8
            texts = [one.encode() + b"\0" for one in value if isinstance(one, str)]
            raw = struct.pack(f">{len(numbers)}I", *numbers) if numbers else b"".join(texts)
        entries += struct.pack(">IIII", TAGS[name], kind, len(data), count)
        data += raw
    return struct.pack(">II", len(fields), len(data)) + entries + data


def ndb(*headers: bytes, pages: int = 1, mark: bytes = b"BlbS") -> bytes:
    """Slots in the first page, the first of them empty; blobs after it."""
    slots, blobs, block = struct.pack("<4sIII", b"Slot", 0, 1, 0), b"", 256
    for number, one in enumerate(headers, 1):
        blob = struct.pack("<4sIII", mark, number, 1, len(one)) + one
        blob += bytes(-len(blob) % 16)
        slots += struct.pack("<4sIII", b"Slot", number, block, len(blob) // 16)
        block += len(blob) // 16
        blobs += blob
    return struct.pack("<4sIII", b"RpmP", 0, 1, pages).ljust(32, b"\0") + slots.ljust(
        4096 - 32, b"\0"
    ) + blobs  # fmt: skip
