"""Programs of hostile images: ELF files above all, scripts, archives of Java and Python."""

from __future__ import annotations

import io
import zipfile

from builders.binaries import DATA, elf_with
from builders.elf import MACHINES, elf
from homeport.errors import HomeportError
from homeport.inspection.binaries.facts import examine

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


def fuzz_one(data: bytes) -> None:
    """Everything that is looked for in a program."""
    examine(data)


def seeds() -> list[bytes]:
    """Programs of every class and byte order, with notes and with Rust's and C's marks."""
    note = b"\x04\0\0\0\x04\0\0\0\x03\0\0\0GNU\0abcd"
    sections = {
        ".note.gnu.build-id": note, ".comment": b"GCC: (Debian 12.2.0-14) 12.2.0\0",
        ".dep-v0": b"x\x9c\x03\0\0\0\0\x01", ".rodata": b"/rustc/aaaa/library\0github.com/a/b",
    }  # fmt: skip
    programs = [
        elf(machine, interpreter="/lib/ld.so", needed=["libc.so.6"], runpath="$ORIGIN:/x")
        for machine in MACHINES
    ]
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), "Main-Class: a.B\n" * 3)
    return [
        jar.getvalue(),
        *programs,
        elf_with(sections),
        (DATA / "tiny").read_bytes()[:4096],
        b"#!/usr/bin/env -S a\n",
    ]
