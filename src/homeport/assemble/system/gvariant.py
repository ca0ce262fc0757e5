"""GLib's typed values as bytes (little-endian, normal form), as "GVariant Serialisation" says.

A value is a bool, int, float, str, tuple, list, ``Just`` (of a maybe type), ``None`` or a ``Typed``
one (of a variant); a dictionary is a list of pairs.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

#: Type → how its one value is packed, which is also its size and alignment.
FIXED = {
    "b": "<B", "y": "<B", "n": "<h", "q": "<H", "i": "<i", "u": "<I", "h": "<i", "x": "<q",
    "t": "<Q", "d": "<d",
}  # fmt: skip
TEXTS = "sog"
DEEPEST = 64


class Typed(msgspec.Struct, frozen=True):
    """What a variant holds."""

    type: str
    value: Any


class Just(msgspec.Struct, frozen=True):
    """A maybe that is not nothing."""

    value: Any


def split_type(kind: str) -> list[str]:
    """The complete types one after the other in ``kind``. Raises ``ValueError``."""
    found, at = [], 0
    while at < len(kind):
        end = _end_of_type(kind, at, 0)
        found.append(kind[at:end])
        at = end
    return found


def serialised(kind: str, value: Any) -> bytes:
    """The bytes of a value of type ``kind``."""
    data: bytes
    match kind[0]:
        case "v":
            data = serialised(value.type, value.value) + b"\0" + value.type.encode()
        case "m" if value is None:
            data = b""
        case "m":
            data = serialised(kind[1:], value.value) + bytes(0 if _fixed_size(kind[1:]) else 1)
        case "a":
            data = _array(kind[1:], value)
        case "(" | "{":
            data = _structure(split_type(kind[1:-1]), value)
        case "s" | "o" | "g":
            data = str(value).encode("utf-8", "surrogateescape") + b"\0"
        case _:
            data = struct.pack(FIXED[kind], value)
    return data


def variant(kind: str, value: Any) -> bytes:
    """A value as a variant."""
    return serialised("v", Typed(kind, value))


def _end_of_type(kind: str, at: int, depth: int) -> int:
    if at >= len(kind) or depth > DEEPEST:
        raise ValueError(f"invalid type {kind!r}")
    first = kind[at]
    if first in "am":
        return _end_of_type(kind, at + 1, depth + 1)
    if first == "{":
        if kind[at + 1 : at + 2] not in (*FIXED, *TEXTS):
            raise ValueError(f"invalid type {kind!r}")
        end = _end_of_type(kind, at + 2, depth + 1)
        if kind[end : end + 1] == "}":
            return end + 1
    elif first == "(":
        at += 1
        while kind[at : at + 1] != ")":
            at = _end_of_type(kind, at, depth + 1)
        return at + 1
    elif first in FIXED or first in TEXTS or first == "v":
        return at + 1
    raise ValueError(f"invalid type {kind!r}")


def _alignment(kind: str) -> int:
    if kind in FIXED:
        return struct.calcsize(FIXED[kind])
    if kind[0] in "am":
        return _alignment(kind[1:])
    if kind[0] in "({":
        return max([1, *map(_alignment, split_type(kind[1:-1]))])
    return 8 if kind == "v" else 1


def _fixed_size(kind: str) -> int:
    """Bytes of every value of this type; 0 if they differ."""
    if kind in FIXED:
        return struct.calcsize(FIXED[kind])
    if kind[0] not in "({":
        return 0
    size = 0
    for each in split_type(kind[1:-1]):
        part = _fixed_size(each)
        if not part:
            return 0
        size += -size % _alignment(each) + part
    return size + -size % _alignment(kind) or 1  # the unit type


def _array(kind: str, values: list[Any]) -> bytes:
    data, ends = bytearray(), []
    for each in values:
        data += bytes(-len(data) % _alignment(kind)) + serialised(kind, each)
        ends.append(len(data))
    return bytes(data) if _fixed_size(kind) else bytes(data) + _offsets(len(data), ends)


def _structure(kinds: list[str], values: tuple[Any, ...]) -> bytes:
    if not kinds:
        return b"\0"
    data, ends = bytearray(), []
    for at, (kind, each) in enumerate(zip(kinds, values, strict=True)):
        data += bytes(-len(data) % _alignment(kind)) + serialised(kind, each)
        if not _fixed_size(kind) and at < len(kinds) - 1:
            ends.append(len(data))
    if all(map(_fixed_size, kinds)):
        return bytes(data) + bytes(-len(data) % max(map(_alignment, kinds)))
    return bytes(data) + _offsets(len(data), ends[::-1])


def _offsets(size: int, ends: list[int]) -> bytes:
    """Where parts end, in the smallest number of bytes that the whole can be measured with."""
    width = next(each for each in (1, 2, 4, 8) if size + each * len(ends) < 1 << 8 * each)
    return b"".join(end.to_bytes(width, "little") for end in ends)
