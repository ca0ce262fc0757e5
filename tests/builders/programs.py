"""Static programs that really run: they print a text and end with a code, by two system calls."""

from __future__ import annotations

import struct

_BASE = 0x400000
_HEADERS = 64 + 56
_MACHINES = {"amd64": 62, "arm64": 183}


def program(architecture: str, text: str, code: int = 0) -> bytes:
    """An ELF program for linux/amd64 or linux/arm64."""
    message = text.encode()
    make = _amd64 if architecture == "amd64" else _arm64
    body = make(message, code)
    size = _HEADERS + len(body)
    header = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1,
        0, 0, 0,
    )  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + body


def _amd64(message: bytes, code: int) -> bytes:
    after = struct.pack("<BIHBIBIH", 0xBA, len(message), 0x050F, 0xB8, 60, 0xBF, code, 0x050F)
    start = struct.pack("<BIBI", 0xB8, 1, 0xBF, 1)
    return start + b"\x48\x8d\x35" + struct.pack("<i", len(after)) + after + message


def _arm64(message: bytes, code: int) -> bytes:
    def move(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    call = 0xD4000001
    words = [move(0, 1), 0, move(2, len(message)), move(8, 64), call, move(0, code), move(8, 93),
             call]  # fmt: skip
    words[1] = 0x10000000 | ((len(words) - 1) * 4 >> 2) << 5 | 1  # the address after the code
    return struct.pack(f"<{len(words)}I", *words) + message
