"""Go's table of functions: the names and source files of everything in a binary.

It is kept even by ``-ldflags '-s -w'`` and strip, since the runtime needs it, so it names
packages where nothing else does. Three layouts (Go 1.2, 1.16, 1.18 with 1.20), two byte
orders, two pointer sizes; written from Go's ``debug/gosym`` as described in the docs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import msgspec

from homeport.elf import Elf

_MAGICS = {0xFFFFFFFB: "1.2", 0xFFFFFFFA: "1.16", 0xFFFFFFF0: "1.18", 0xFFFFFFF1: "1.20"}
_LITTLE = re.compile(rb"[\xfb\xfa\xf0\xf1]\xff\xff\xff\0\0[\x01\x02\x04][\x04\x08]")
_BIG = re.compile(rb"\xff\xff\xff[\xfb\xfa\xf0\xf1]\0\0[\x01\x02\x04][\x04\x08]")
_SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab", ".data.rel.ro")
_MAX_FUNCTIONS = 2_000_000
_MAX_FILES = 500_000
_MAX_NAME = 4096
_MAX_CANDIDATES = 20
_MAX_UNNAMED = 1000  # functions at the beginning without a name, in data that is not a table
_MOST_TEXT = 4  # bytes of all names together for each byte of the table


class GoTable(msgspec.Struct, frozen=True, kw_only=True):
    """table_format: 1.2, 1.16, 1.18 or 1.20. main: the source file of ``main.main``, or empty."""

    table_format: str
    functions: frozenset[bytes]
    files: frozenset[bytes]
    main: bytes


def read_table(elf: Elf) -> GoTable | None:
    """The table of a file; ``None`` if there is none that can be read."""
    for raw in _candidates(elf):
        try:
            found = _Reader(raw).read()
        except (struct.error, IndexError, ValueError, OverflowError):
            continue
        if found.functions:
            return found
    return None


def _candidates(elf: Elf) -> Iterator[bytes]:
    for name in _SECTIONS:
        section = elf.find_section(name)
        if section is not None:
            yield elf.data[section.offset :]
    pattern = _LITTLE if elf.little else _BIG
    for number, found in enumerate(pattern.finditer(elf.data)):
        if number >= _MAX_CANDIDATES:
            return
        yield elf.data[found.start() :]


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = _MOST_TEXT * len(raw)
        for order in "<>":
            format = _MAGICS.get(struct.unpack_from(order + "I", raw)[0])
            if format is not None:
                break
        if format is None or raw[4:6] != b"\0\0" or raw[6] not in (1, 2, 4) or raw[7] not in (4, 8):
            raise ValueError("no table")
        self._table_format, self._order, self._pointer = format, order, raw[7]
        self._letter = "Q" if self._pointer == 8 else "I"
        count = self._word(0)
        if not 0 < count <= _MAX_FUNCTIONS:
            raise ValueError("an impossible number of functions")
        self._count = count
        self._old = format == "1.2"
        late = format in ("1.18", "1.20")
        self._name_at = 4 if late else self._pointer
        if self._old:
            self._names = self._pctab = self._functab = 0
            self._functab_at = 8 + self._pointer
        else:
            first = 3 if late else 2
            self._names, self._cutab, self._filetab, self._pctab, self._functab = (
                self._word(first + number) for number in range(5)
            )
            self._functab_at = self._functab
        self._field = "I" if late else self._letter

    def read(self) -> GoTable:
        records = self._records()
        functions: dict[bytes, int] = {}
        for number, record in enumerate(records):
            name = self._text(self._names + self._u32(record + self._name_at))
            if name:
                functions.setdefault(name, record)
            elif not functions and number >= _MAX_UNNAMED:
                raise ValueError("functions without names")
        main = b""
        if b"main.main" in functions:
            main = self._file_of(functions[b"main.main"])
        return GoTable(
            table_format=self._table_format,
            functions=frozenset(functions),
            files=frozenset(self._files()),
            main=main,
        )

    def _records(self) -> list[int]:
        """The offset of each function's record."""
        form = f"{self._order}{2 * self._count}{self._field}"
        pairs = struct.unpack_from(form, self._raw, self._functab_at)
        base = self._functab
        return [base + offset for offset in pairs[1::2]]

    def _files(self) -> Iterator[bytes]:
        if self._old:
            table = self._old_files()
            count = min(self._u32(table), _MAX_FILES)
            offsets = struct.unpack_from(f"{self._order}{count}I", self._raw, table)
            for offset in offsets[1:]:
                yield self._text(offset)
            return
        area = self._raw[self._filetab : self._pctab]
        for name in area.split(b"\0", _MAX_FILES)[:_MAX_FILES]:
            if 0 < len(name) <= _MAX_NAME:
                yield name

    def _old_files(self) -> int:
        size = self._pointer
        return self._u32(self._functab_at + self._count * 2 * size + size)

    def _file_of(self, record: int) -> bytes:
        """The source file at the start of a function: the first step of its table of files."""
        at = self._pctab + self._u32(record + self._name_at + 16)
        value = shift = 0
        for byte in self._raw[at : at + 5]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        index = (-(value >> 1) - 1 if value & 1 else value >> 1) - 1
        if self._old:
            return self._text(self._u32(self._old_files() + 4 * index)) if index > 0 else b""
        unit = self._u32(record + self._name_at + 28)
        offset = self._u32(self._cutab + 4 * (unit + index))
        return self._text(self._filetab + offset) if offset != 0xFFFFFFFF else b""

    def _word(self, number: int) -> int:
        found: int = struct.unpack_from(
            self._order + self._letter, self._raw, 8 + number * self._pointer
        )[0]
        return found

    def _u32(self, at: int) -> int:
        if at < 0:
            raise ValueError("an offset before the table")
        found: int = struct.unpack_from(self._order + "I", self._raw, at)[0]
        return found

    def _text(self, at: int) -> bytes:
        end = self._raw.find(b"\0", at, at + _MAX_NAME)
        if end < 0:
            return b""
        self._left -= end - at
        if self._left < 0:
            raise ValueError("names overlap")
        return self._raw[at:end]
