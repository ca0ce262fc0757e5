"""Reading ELF files that may be damaged, packed or without sections; all in memory.

Offsets are checked where they are used: bytes outside the file read as empty. strip may remove
sections, so everything is found by segments, too. Not
for other formats (``homeport.inspection.binaries.facts``).

Own code, because every ELF file of an image is read: pyelftools takes about 10 ms for a file,
this module 0.1 ms.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

import msgspec

MAGIC = b"\x7fELF"
_MAX_HEADERS = 4096
_MAX_NOTES = 1000
_MAX_NOTE_AREAS = 256
_MAX_DYNAMIC = 10_000
_MAX_SYMBOLS = 1_000_000
_MAX_NAME = 4096  # bytes of one string: of a section, a library, a search path
_MAX_LOADS = 64
LOAD, DYNAMIC, INTERP, NOTE = 1, 2, 3, 4
WRITABLE, EXECUTABLE = 2, 1
_NOBITS = 8
_NEEDED, _STRTAB, _STRSZ, _SONAME, _RPATH, _RUNPATH, _FLAGS_1 = 1, 5, 10, 14, 15, 29, 0x6FFFFFFB
_PIE = 0x08000000
MACHINES = {
    2: "sparc", 3: "386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 43: "sparc64",
    50: "ia64", 62: "amd64", 183: "arm64", 243: "riscv64", 258: "loong64",
}  # fmt: skip
_TYPES = {1: "object", 2: "executable", 3: "shared", 4: "core"}


class BadElf(ValueError):
    """An ELF file that cannot be read."""


class Segment(msgspec.Struct, frozen=True):
    type: int
    flags: int
    offset: int
    address: int
    size: int


class Section(msgspec.Struct, frozen=True):
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int


class Dynamic(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the dynamic section that are used here."""

    needed: tuple[str, ...] = ()
    soname: str = ""
    runpath: tuple[str, ...] = ()
    pie: bool = False


class Elf(msgspec.Struct, frozen=True):
    """An ELF file: its header, segments and sections."""

    data: bytes
    wide: bool
    little: bool
    type: str
    machine: int
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]

    @property
    def order(self) -> str:
        return "<" if self.little else ">"

    @property
    def pointer(self) -> int:
        return 8 if self.wide else 4

    @property
    def architecture(self) -> str:
        """The name in Go and OCI, if they have one."""
        name = MACHINES.get(self.machine, f"machine {self.machine}")
        if self.machine == 21 and self.little:
            return "ppc64le"
        if self.machine == 8:
            return f"mips{'64' if self.wide else ''}{'le' if self.little else ''}"
        if self.machine == 22 and not self.wide:
            return "s390"
        return name

    def section(self, name: str) -> bytes | None:
        """A section's bytes; ``None`` if there is none of this name."""
        for section in self.sections:
            if section.name == name and section.type != _NOBITS:
                return self.data[section.offset : section.offset + section.size]
        return None

    def find_section(self, name: str) -> Section | None:
        return next((one for one in self.sections if one.name == name), None)

    def offset_of(self, address: int) -> int | None:
        """The file offset of an address."""
        for segment in self.segments:
            if segment.type == LOAD and 0 <= address - segment.address < segment.size:
                return segment.offset + address - segment.address
        return None

    def address_of(self, offset: int) -> int | None:
        for segment in self.segments:
            if segment.type == LOAD and 0 <= offset - segment.offset < segment.size:
                return segment.address + offset - segment.offset
        return None

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address; fewer, or none, at the end of the segment or file."""
        offset = self.offset_of(address)
        return b"" if offset is None or size < 0 else self.data[offset : offset + size]

    def loads(self, *, writable: bool) -> list[Segment]:
        """Segments that are loaded, at most 64."""
        found = [
            one
            for one in self.segments
            if one.type == LOAD and bool(one.flags & WRITABLE) == writable
        ]
        return found[:_MAX_LOADS]

    def interpreter(self) -> str:
        for segment in self.segments:
            if segment.type == INTERP:
                raw = self.data[segment.offset : segment.offset + min(segment.size, 4096)]
                return raw.partition(b"\0")[0].decode("utf-8", "replace")
        return ""

    def notes(self) -> Iterator[tuple[bytes, int, bytes]]:
        """(owner, type, description) of every note, by segment and by section."""
        spans = [(one.offset, one.size) for one in self.segments if one.type == NOTE]
        spans += [(one.offset, one.size) for one in self.sections if one.type == 7]
        for offset, size in list(dict.fromkeys(spans))[:_MAX_NOTE_AREAS]:
            yield from self._notes(self.data[offset : offset + min(size, 1 << 20)])

    def _notes(self, raw: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        at = count = 0
        while at + 12 <= len(raw) and count < _MAX_NOTES:
            count += 1
            names, size, type = struct.unpack_from(self.order + "III", raw, at)
            start = at + 12
            described = start + (names + 3 & ~3)
            if described + size > len(raw):
                return
            yield raw[start : start + names].rstrip(b"\0"), type, raw[described : described + size]
            at = described + (size + 3 & ~3)

    def has_dynamic(self) -> bool:
        return any(segment.type == DYNAMIC for segment in self.segments)

    def dynamic(self) -> Dynamic:
        tags = list(islice(self._tags(), _MAX_DYNAMIC))
        table = next((value for tag, value in tags if tag == _STRTAB), 0)
        size = next((value for tag, value in tags if tag == _STRSZ), 0)
        strings = self.read(table, min(size, 16 << 20))

        def text(offset: int) -> str:
            return (
                strings[offset : offset + _MAX_NAME].partition(b"\0")[0].decode("utf-8", "replace")
            )

        def all_of(wanted: int) -> list[str]:
            return [text(value) for tag, value in tags if tag == wanted and value < len(strings)]

        search = all_of(_RUNPATH) or all_of(_RPATH)
        return Dynamic(
            needed=tuple(all_of(_NEEDED)),
            soname="".join(all_of(_SONAME)[:1]),
            runpath=tuple(part for each in search for part in each.split(":") if part),
            pie=any(tag == _FLAGS_1 and value & _PIE for tag, value in tags),
        )

    def imports(self) -> frozenset[str]:
        """Names of the dynamic symbols that other files define."""
        table, names = self.section(".dynsym") or b"", self.section(".dynstr") or b""
        # Elf64_Sym and Elf32_Sym of the gABI: name, info, other, section, …
        form = struct.Struct(self.order + ("IBBH16x" if self.wide else "I8xBBH"))
        whole = table[: min(len(table), _MAX_SYMBOLS * form.size) // form.size * form.size]
        return frozenset(
            names[name : name + _MAX_NAME].partition(b"\0")[0].decode("utf-8", "replace")
            for name, _info, _other, section in form.iter_unpack(whole)
            if section == 0 and name
        )

    def _tags(self) -> Iterator[tuple[int, int]]:
        form = self.order + ("QQ" if self.wide else "II")
        step = struct.calcsize(form)
        for segment in self.segments:
            if segment.type != DYNAMIC:
                continue
            raw = self.data[segment.offset : segment.offset + segment.size]
            for at in range(0, min(len(raw) - step + 1, _MAX_DYNAMIC * step), step):
                tag, value = struct.unpack_from(form, raw, at)
                if tag == 0:
                    return
                yield tag, value


def read_elf(data: bytes) -> Elf:
    """Parse a file. Raises ``BadElf``."""
    if not data.startswith(MAGIC) or len(data) < 52:
        raise BadElf("file too short")
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    if data[4] not in (1, 2) or data[5] not in (1, 2):
        raise BadElf("unknown class or byte order")
    try:
        form = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
        (
            kind, machine, _version, _entry, program, sections, _flags, _size, program_size,
            programs, section_size, count, names,
        ) = struct.unpack_from(form, data, 16)  # fmt: skip
    except struct.error as error:
        raise BadElf("truncated header") from error
    return Elf(
        data=data,
        wide=wide,
        little=order == "<",
        type=_TYPES.get(kind, f"type {kind}"),
        machine=machine,
        segments=tuple(_segments(data, wide, order, (program, program_size, programs))),
        sections=tuple(_sections(data, wide, order, (sections, section_size, count, names))),
    )


def _segments(
    data: bytes, wide: bool, order: str, table: tuple[int, int, int]
) -> Iterator[Segment]:
    start, size, count = table
    form = order + ("IIQQQQQQ" if wide else "IIIIIIII")
    if size < struct.calcsize(form):
        return
    for number in range(min(count, _MAX_HEADERS)):
        at = start + number * size
        if at + struct.calcsize(form) > len(data):
            return
        fields = struct.unpack_from(form, data, at)
        if wide:
            type, flags, offset, address, _, length, _, _ = fields
        else:
            type, offset, address, _, length, _, flags, _ = fields
        yield Segment(type, flags, offset, address, length)


def _sections(
    data: bytes, wide: bool, order: str, table: tuple[int, int, int, int]
) -> Iterator[Section]:
    start, size, count, names = table
    form = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    step = struct.calcsize(form)
    if size < step or not start:
        return
    rows = [
        struct.unpack_from(form, data, start + number * size)
        for number in range(min(count, _MAX_HEADERS))
        if start + number * size + step <= len(data)
    ]
    text = b""
    if names < len(rows):
        text = data[rows[names][4] : rows[names][4] + min(rows[names][5], 1 << 20)]
    for name, type, flags, address, offset, length, *_ in rows:
        end = text.find(b"\0", name, name + _MAX_NAME)
        shown = text[name:end] if 0 <= name < len(text) and end >= 0 else b""
        yield Section(shown.decode("utf-8", "replace"), type, flags, address, offset, length)
