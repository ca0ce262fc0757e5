"""Go programs of hostile images: build information and the table of functions."""

from __future__ import annotations

import struct

from builders.binaries import buildinfo, elf_with
from homeport.elf import read_elf
from homeport.errors import HomeportError
from homeport.inspection.binaries.golang import read_go

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


def fuzz_one(data: bytes) -> None:
    """The bytes as either section of a program, and as a program."""
    for sections in ({".go.buildinfo": data}, {".gopclntab": data}, {".data": data}):
        read_go(read_elf(elf_with(sections)))


def seeds() -> list[bytes]:
    """Build information and a small table in each layout."""
    info = buildinfo(
        "go1.22.1",
        ["path\tgithub.com/a/b", "mod\tgithub.com/a/b\tv1.0.0\th1:x=", "dep\tc.org/d\tv2",
         "=>\te.org/f\tv3", "build\tvcs.revision=abc"],
    )  # fmt: skip
    return [info, *(_table(magic) for magic in (0xFFFFFFF1, 0xFFFFFFF0, 0xFFFFFFFA)), _old_table()]


def _table(magic: int) -> bytes:
    """``main.main`` and ``runtime.goexit`` in one file each."""
    late = magic >= 0xFFFFFFF0
    names = b"main.main\0runtime.goexit\0github.com/a/b.F\0"
    files = b"/src/github.com/a/b/main.go\0/usr/lib/go-1.19/src/runtime/proc.go\0"
    words = 8 if late else 7
    start = 8 + words * 8
    cutab = struct.pack("<II", 0, 28)
    pctab = b"\0\x02\x01\0"
    name_at, cu_at = start, start + len(names)
    file_at = cu_at + len(cutab)
    pc_at = file_at + len(files)
    functions_at = pc_at + len(pctab)
    table_size = 3 * 2 * (4 if late else 8) + 8
    form = "<IIIIIIIII" if late else "<QIIIIIIII"
    records, pairs = b"", b""
    for number, offset in enumerate((0, 10, 25)):
        pairs += struct.pack("<II" if late else "<QQ", number, table_size + len(records))
        records += struct.pack(form, number, offset, 0, 0, 0, 1, 0, 0, 0)  # 1: the step to its file
    head = struct.pack("<I", magic) + b"\0\0\x01\x08"
    counts = (3, 2, 0) if late else (3, 2)
    head += struct.pack(f"<{words}Q", *counts, name_at, cu_at, file_at, pc_at, functions_at)
    return head + names + cutab + files + pctab + pairs.ljust(table_size, b"\0") + records


def _old_table() -> bytes:
    """Go 1.2's layout: every offset counts from the table's beginning."""
    head = struct.pack("<I", 0xFFFFFFFB) + b"\0\0\x01\x08" + struct.pack("<Q", 1)
    body = struct.pack("<QQQI", 0, 48, 9, 88).ljust(32, b"\0")
    record = struct.pack("<QIIIIII", 0, 96, 0, 0, 0, 0, 0).ljust(40, b"\0")
    return head + body + record + struct.pack("<II", 2, 106) + b"main.main\0" + b"/a.go\0"
