"""Programs for inspection: packed ones that are kept as files, and ELF files of sections."""

from __future__ import annotations

import struct
from pathlib import Path

from homeport.inspection.binaries.gobuildinfo import MAGIC

DATA = Path(__file__).parents[1] / "data/inspection"


def elf_with(sections: dict[str, bytes]) -> bytes:
    """An ELF file of sections alone."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*sections, ".shstrtab"))
    body, rows = b"", [struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    at = 1
    for name, data in (*sections.items(), (".shstrtab", names)):
        offset = 64 + len(body)
        rows.append(struct.pack("<IIQQQQIIQQ", at, 1, 0, 0x400000 + offset & ~15 if data[:1] ==
                                b"\xff" else 0, offset, len(data), 0, 0, 1, 0))  # fmt: skip
        at += len(name) + 1
        body += data
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 56, 0, 64, len(rows), len(rows) - 1
    )
    return head + body + b"".join(rows)


def buildinfo(version: str, lines: list[str]) -> bytes:
    text = b"x" * 16 + "\n".join([*lines, ""]).encode() + b"y" * 16
    assert len(version) < 128

    def varint(number: int) -> bytes:
        out = b""
        while number > 127:
            out += bytes([number & 127 | 128])
            number >>= 7
        return out + bytes([number])

    head = (MAGIC + bytes([8, 2])).ljust(32, b"\0")
    return head + varint(len(version)) + version.encode() + varint(len(text)) + text
