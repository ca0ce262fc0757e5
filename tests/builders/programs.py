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
    return _elf(architecture, make(message, code))


def endless(architecture: str) -> bytes:
    """A program that does nothing, for ever."""
    return _elf(architecture, b"\xeb\xfe" if architecture == "amd64" else b"\x00\x00\x00\x14")


def flood(architecture: str) -> bytes:
    """A program that prints for ever."""
    if architecture == "amd64":
        start = _amd64(b"x" * 4096, 0)
        at = start.index(b"\x0f\x05") + 2
        return _elf(
            architecture, start[:at] + struct.pack("<BBb", 0x90, 0xEB, -at - 3) + start[at + 3 :]
        )
    start = _arm64(b"x" * 4096, 0)
    return _elf(architecture, start[:20] + struct.pack("<i", 0x17FFFFFB) + start[24:])


def calling(architecture: str, calls: tuple[int, int], path: str, *numbers: int) -> bytes:
    """A program that makes one system call, and ends with its error number.

    calls:   the number of the system call for amd64, for arm64
    numbers: its arguments after the path
    """
    data = path.encode() + b"\0"
    if architecture == "amd64":
        last = struct.pack("<HHBIH", 0x050F, 0xC789, 0xB8, 60, 0x050F)
        last = last[:4] + b"\xf7\xdf" + last[4:]
        registers = (b"\xbe", b"\xba")
        rest = b"".join(r + struct.pack("<i", n) for r, n in zip(registers, numbers, strict=False))
        rest += struct.pack("<BI", 0xB8, calls[0]) + last
        return _elf(architecture, b"\x48\x8d\x3d" + struct.pack("<i", len(rest)) + rest + data)
    words = [0xD2800000 | n << 5 | r for r, n in enumerate(numbers, start=1)]
    words += [0xD2800000 | calls[1] << 5 | 8, 0xD4000001, 0xCB0003E0, 0xD2800000 | 93 << 5 | 8,
              0xD4000001]  # fmt: skip
    words.insert(0, 0x10000000 | (len(words) + 1) << 5)
    return _elf(architecture, struct.pack(f"<{len(words)}I", *words) + data)


def _elf(architecture: str, body: bytes) -> bytes:
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
