"""/etc/ld.so.cache as ldconfig of glibc 2.32 and later writes it, for every architecture.

Source of the format: ``struct cache_file_new`` and its extension in glibc's
sysdeps/generic/dl-cache.h; of flags elf/cache.c and the architectures' ldconfig.h; of the
order ``compare`` in elf/cache.c. Only the new format is written, in the byte order of the
architecture. Which libraries belong in it: ``steps.ld_cache``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

import msgspec

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER, _ENTRY = 48, 24
_LITTLE, _BIG = 2, 3
_EXTENSION_MAGIC = 0xEAA42174
_TAG_HWCAPS = 1
#: An entry whose low 32 bits number a folder of glibc-hwcaps.
_HWCAP_EXTENSION = 1 << 62
_LIBC6 = 3

#: Debian architecture → the bits beside ``FLAG_ELF_LIBC6``.
_FLAGS = {
    "amd64": 0x0300, "arm64": 0x0A00, "armhf": 0x0900, "armel": 0x0B00, "i386": 0,
    "ppc64el": 0x0500, "s390x": 0x0400, "riscv64": 0x1000, "loong64": 0x1200,
}  # fmt: skip
_BIG_ENDIAN = ("s390x",)
ARCHITECTURES = frozenset(_FLAGS)


class CachedLibrary(msgspec.Struct, frozen=True, kw_only=True):
    """A library that the loader finds by ``name`` in ``folder``.

    architecture: Debian's name of the one that it is for
    hwcaps: name of its folder below glibc-hwcaps, or ""
    """

    name: str
    folder: str
    architecture: str
    hwcaps: str = ""

    @property
    def path(self) -> str:
        below = f"/glibc-hwcaps/{self.hwcaps}" if self.hwcaps else ""
        return f"{self.folder}{below}/{self.name}"


def ld_so_cache(libraries: Iterable[CachedLibrary], architecture: str) -> bytes:
    """The file. Of two libraries with one key the first stays first."""
    # Names downwards, then flags; of one name the folders of glibc-hwcaps first.
    within = sorted(libraries, key=lambda e: (-_FLAGS[e.architecture], not e.hwcaps, e.hwcaps))
    ordered = sorted(within, key=lambda each: name_key(each.name), reverse=True)
    hwcaps = sorted({each.hwcaps for each in ordered if each.hwcaps})
    order = ">" if architecture in _BIG_ENDIAN else "<"
    strings = _Strings(_HEADER + _ENTRY * len(ordered))
    entries = []
    for each in ordered:
        value = strings.add(each.path)
        key = (
            value
            + len(each.path.encode("utf-8", "surrogateescape"))
            - len(each.name.encode("utf-8", "surrogateescape"))
        )
        mask = _HWCAP_EXTENSION | hwcaps.index(each.hwcaps) if each.hwcaps else 0
        flags = _LIBC6 | _FLAGS[each.architecture]
        entries.append(struct.pack(f"{order}iIIIQ", flags, key, value, 0, mask))
    names = [strings.add(name) for name in hwcaps]
    end = strings.start + len(strings.data)
    extension = end + -end % 4 if names else 0
    header = _MAGIC + struct.pack(
        f"{order}IIB3xI12x", len(ordered), len(strings.data),
        _BIG if order == ">" else _LITTLE, extension,
    )  # fmt: skip
    data = header + b"".join(entries) + bytes(strings.data)
    return data + _extension(order, extension, extension - end, names) if names else data


def _extension(order: str, start: int, padding: int, names: list[int]) -> bytes:
    """One section: where the names of the folders below glibc-hwcaps are."""
    head = struct.pack(f"{order}IIIIII", _EXTENSION_MAGIC, 1, _TAG_HWCAPS, 0, start + 24,
                       4 * len(names))  # fmt: skip
    return b"\0" * padding + head + struct.pack(f"{order}{len(names)}I", *names)


class _Strings:
    """NUL-terminated texts, each once, and where they are in the file."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.data = bytearray()
        self._places: dict[str, int] = {}

    def add(self, text: str) -> int:
        if text not in self._places:
            self._places[text] = self.start + len(self.data)
            self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return self._places[text]


def name_key(name: str) -> tuple[tuple[int, int], ...]:
    """A key that orders names as ``_dl_cache_libcmp``: runs of digits count as numbers.

    A number is more than any other character and than the end.
    """
    parts = re.findall(rb"[0-9]+|[^0-9]", name.encode("utf-8", "surrogateescape"), re.DOTALL)
    return tuple((1, int(p)) if p.isdigit() else (0, p[0]) for p in parts)
