"""ELF files made in memory: what asks for a loader and libraries, and nothing that runs.

    elf("x86_64", interpreter="/lib64/ld-linux-x86-64.so.2", needed=["libc.so.6"])

Layout as in the System V ABI, chapters 4 and 5: a header, program headers for PT_LOAD,
PT_INTERP and PT_DYNAMIC, a string table and the dynamic entries that point into it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

#: name → (e_machine, 64 bits, big endian)
MACHINES = {
    "386": (3, False, False),
    "arm": (40, False, False),
    "x86_64": (62, True, False),
    "aarch64": (183, True, False),
    "ppc64le": (21, True, False),
    "s390x": (22, True, True),
    "riscv64": (243, True, False),
}
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH = 1, 5, 10, 14, 15, 29


def elf(
    machine: str = "x86_64",
    *,
    interpreter: str = "",
    needed: Sequence[str] = (),
    runpath: str = "",
    rpath: str = "",
    soname: str = "",
) -> bytes:
    """A program (with ``interpreter``) or a library (without)."""
    number, wide, big = MACHINES[machine]
    order = ">" if big else "<"
    header_size, segment_size = (64, 56) if wide else (52, 32)
    segments = 3 if interpreter else 2
    base = header_size + segments * segment_size
    strings = b"\0"
    entries: list[tuple[int, int]] = []
    for tag, texts in ((_NEEDED, needed), (_RUNPATH, [runpath]), (_RPATH, [rpath]),
                        (_SONAME, [soname])):  # fmt: skip
        for text in filter(None, texts):
            entries.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    strings += b"\0" * (-len(strings) % 8)
    interp = interpreter.encode() + b"\0" if interpreter else b""
    interp += b"\0" * (-len(interp) % 8)
    entries += [(_STRTAB, base), (_STRSZ, len(strings)), (0, 0)]
    word = "Q" if wide else "I"
    dynamic = b"".join(struct.pack(f"{order}2{word}", *entry) for entry in entries)
    size = base + len(strings) + len(interp) + len(dynamic)
    programs = [(_LOAD, 0, size)]
    if interpreter:
        programs.append((_INTERP, base + len(strings), len(interpreter) + 1))
    programs.append((_DYNAMIC, base + len(strings) + len(interp), len(dynamic)))
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1]) + bytes(9)
    header = ident + struct.pack(
        f"{order}HHI3{word}I6H", 3, number, 1, 0, header_size, 0, 0,
        header_size, segment_size, segments, 0, 0, 0,
    )  # fmt: skip
    table = b"".join(_segment(order, wide, *program) for program in programs)
    return header + table + strings + interp + dynamic


def _segment(order: str, wide: bool, kind: int, offset: int, size: int) -> bytes:
    if wide:
        return struct.pack(f"{order}2I6Q", kind, 5, offset, offset, offset, size, size, 8)
    return struct.pack(f"{order}8I", kind, offset, offset, offset, size, size, 5, 8)
