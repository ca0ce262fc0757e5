"""Go's build information as the linker stores it since 1.13, both forms, both byte orders.

Source: Go's ``debug/buildinfo`` and the facts measured on real files. Before 1.13 there is
only the version, a string that ``runtime.buildVersion`` points to; it is found by that.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import msgspec

from homeport.elf import Elf

MAGIC = b"\xff Go buildinf:"
_ALIGN = 16
_MAX_TEXT = 16 << 20
_MAX_BLOB = _MAX_TEXT + 4096
_MAX_BLOBS = 50  # with the magic bytes, but invalid
_MAX_CANDIDATES = 500
_MAX_SEARCHED = 4 << 30  # bytes, in all searches for a pointer
_VERSION = re.compile(rb"(?:devel )?go1\.\d+(?:\.\d+)?(?:beta\d+|rc\d+)?")


class GoModule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A module by path and version; ``replaced_by``: the module used in its place."""

    path: str
    version: str = ""
    sum: str = ""
    replaced_by: str = ""


class GoBuildInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of the blob; only the version is set for builds without modules."""

    version: str
    path: str = ""
    module: GoModule | None = None
    dependencies: tuple[GoModule, ...] = ()
    settings: dict[str, str] = {}


def read_buildinfo(elf: Elf) -> GoBuildInfo | None:
    """The build information of a file; ``None`` if there is none."""
    left = _MAX_BLOBS
    for start, area in _areas(elf):
        at = -1
        while (at := area.find(MAGIC, at + 1)) >= 0:
            if (start + at) % _ALIGN:
                continue
            found = _read(elf, area[at : at + _MAX_BLOB])
            if found is not None:
                return found
            left -= 1
            if not left:
                return None
    return None


def find_version(elf: Elf) -> str:
    """The version that ``runtime.buildVersion`` points to, of files without the blob.

    Strings in Go have no terminator, so a match of the text may be too long: a pointer to it in
    writable data has the length beside it.
    """
    form = elf.order + ("QQ" if elf.wide else "II")
    writable = [elf.data[one.offset : one.offset + one.size] for one in elf.loads(writable=True)]
    step = sum(len(area) for area in writable)
    left = _MAX_SEARCHED
    for number, found in enumerate(_VERSION.finditer(elf.data)):
        if number >= _MAX_CANDIDATES:
            break
        address = elf.address_of(found.start())
        if address is None:
            continue
        for length in range(found.end() - found.start(), 4, -1):
            try:
                pair = struct.pack(form, address, length)
            except struct.error:
                break
            left -= step
            if left < 0:
                return ""
            if any(pair in area for area in writable):
                return elf.data[found.start() : found.start() + length].decode()
    return ""


def _areas(elf: Elf) -> Iterator[tuple[int, bytes]]:
    """The section if there is one, else all writable segments, else the whole file."""
    section = elf.find_section(".go.buildinfo")
    if section is not None:
        yield section.address, elf.data[section.offset : section.offset + section.size]
        return
    for segment in elf.loads(writable=True):
        yield segment.address, elf.data[segment.offset : segment.offset + segment.size]
    if not elf.sections:
        for segment in elf.loads(writable=False):
            yield segment.address, elf.data[segment.offset : segment.offset + segment.size]


def _read(elf: Elf, blob: bytes) -> GoBuildInfo | None:
    if len(blob) < 32:
        return None
    size, flags = blob[14], blob[15]
    if flags & 2:
        version, rest = _string(blob[32:])
        text, _ = _string(rest)
    else:
        if size not in (4, 8):
            return None
        order = ">" if flags & 1 else "<"
        form = order + ("QQ" if size == 8 else "II")
        pointers = struct.unpack_from(form, blob, 16) if len(blob) >= 16 + 2 * size else ()
        version, text = (_pointed(elf, pointer, form) for pointer in pointers)
    if not version or not re.match(rb"go1|devel|go version", version[:16]):
        return None
    shown = version.decode("utf-8", "replace")
    return _parsed(shown, text)


def _string(raw: bytes) -> tuple[bytes, bytes]:
    """A string with its length before it as a varint, and what follows."""
    length = shift = 0
    for at, byte in enumerate(raw[:10]):
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            end = at + 1 + length
            if length > _MAX_TEXT or end > len(raw):
                return b"", b""
            return raw[at + 1 : end], raw[end:]
    return b"", b""


def _pointed(elf: Elf, address: int, form: str) -> bytes:
    """The Go string whose header is at an address."""
    head = elf.read(address, struct.calcsize(form))
    if len(head) < struct.calcsize(form):
        return b""
    place, length = struct.unpack(form, head)
    return elf.read(place, length) if length <= _MAX_TEXT else b""


def _parsed(version: str, text: bytes) -> GoBuildInfo:
    # The text is between two marks of 16 bytes each.
    inner = text[16:-16] if len(text) >= 33 and text[-17:-16] == b"\n" else b""
    path = ""
    module: GoModule | None = None
    dependencies: list[GoModule] = []
    settings: dict[str, str] = {}
    last_is_module = False
    for line in inner.decode("utf-8", "replace").split("\n"):
        word, _, rest = line.partition("\t")
        columns = [*rest.split("\t"), "", ""]
        if word == "path":
            path = rest
        elif word == "mod":
            module = GoModule(path=columns[0], version=columns[1], sum=columns[2])
            last_is_module = True
        elif word == "dep":
            dependencies.append(GoModule(path=columns[0], version=columns[1], sum=columns[2]))
            last_is_module = False
        elif word == "=>":
            by = " ".join(column for column in columns[:2] if column)
            if last_is_module and module is not None:
                module = msgspec.structs.replace(module, replaced_by=by)
            elif dependencies:
                dependencies[-1] = msgspec.structs.replace(dependencies[-1], replaced_by=by)
        elif word == "build":
            key, _, value = rest.partition("=")
            settings[key.strip('"')] = value
    return GoBuildInfo(
        version=version, path=path, module=module, dependencies=tuple(dependencies),
        settings=settings,
    )  # fmt: skip
