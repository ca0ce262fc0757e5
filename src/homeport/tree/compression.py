"""The encoders that make layers, each exact about which one it is.

An encoder turns a bounded run of bytes into one self-contained member; members of one
layer are simply written one after the other (RFC 1952 section 2.2, RFC 8878 section
3.1), which is why compressed pieces can be cached and joined.

A digest may depend on an encoder only if the same input gives the same bytes on every
machine. libdeflate, held here to known answers at its first use, does; zlib is
another stream in every implementation, and zstd makes no such promise, so zstd layers
are offered as "not byte-stable" (docs/decisions/compression.md).

Not for reading other people's layers (``homeport.tree.decompression``): there the fastest
decoder wins.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Protocol

import msgspec
import zstandard

from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.tree.libdeflate import DamagedMember, Libdeflate, libraries

#: The bytes that decide digests are those of this version of the package ``deflate``
#: (libdeflate 1.23), whichever library writes them.
DEFLATE_VERSION = "0.9.0"

#: Level → SHA-256 of the encoded test vector. Other levels are not offered: four that are
#: checked are worth more than twelve that are believed.
_KNOWN_ANSWERS = {
    6: "0234517e7286bc9dc0b762f674294bb67fd6600adc5fa05ee982e409700a45a1",
    7: "addd0f447027c4a41098dd2602ff6e8153dd5ae80d3f65c9632c6e46103703ea",
    9: "2b85f1ef96b775ab3006100448425e039f8710b8ed87268cbc2641d5d60e4a54",
    12: "e0be8660473925005f64ed261b766928bd10c06e102a1f9c744aa914f8756c59",
}
#: Half the time of 9 for 0.2 % more bytes (docs/decisions/compression.md).
DEFAULT_LEVEL = 7
_DEFAULT_ZSTD_LEVEL = 9
ENCODERS = ("gzip", "zstd", "estargz", "none")

# ID1 ID2 CM=deflate FLG=0 MTIME=0 XFL=0 OS=unknown: nothing about this machine or moment.
_GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF])


class WrongEncoder(HomeportError):
    """The installed encoder would write other bytes than the one that decides digests."""

    id = "wrong-encoder"


class Encoder(Protocol):
    """Makes members of one compressed stream."""

    @property
    def name(self) -> str:
        """One of ``ENCODERS``."""

    @property
    def id(self) -> str:
        """Codec, exact version and level: part of every cache key."""

    @property
    def byte_stable(self) -> bool:
        """Whether the same input is the same output on every machine, shown by a test."""

    def encode(self, data: bytes) -> bytes:
        """One self-contained member."""

    def decode(self, member: bytes, size: int) -> bytes:
        """The ``size`` bytes that ``member``, made by this encoder, stands for.

        Raises ``IntegrityError`` if it does not stand for so many.
        """


def make_encoder(name: str, level: int | None = None) -> Encoder:
    """The encoder of a name in ``ENCODERS``. Raises ``UsageError``."""
    if name == "gzip":
        return Gzip(_gzip_level(level))
    if name == "zstd":
        return Zstd(_DEFAULT_ZSTD_LEVEL if level is None else level)
    if name == "estargz":
        return Estargz(_gzip_level(level))
    if name == "none":
        return Plain()
    raise UsageError(f"unknown compression {name!r}", hint=f"choose one of {', '.join(ENCODERS)}")


def _gzip_level(level: int | None) -> int:
    chosen = DEFAULT_LEVEL if level is None else level
    if chosen not in _KNOWN_ANSWERS:
        offered = ", ".join(map(str, _KNOWN_ANSWERS))
        raise UsageError(f"unsupported gzip level {chosen}", hint=f"choose one of {offered}")
    return chosen


class Gzip(msgspec.Struct, frozen=True):
    """gzip members by libdeflate."""

    level: int = DEFAULT_LEVEL
    name = "gzip"
    byte_stable = True

    @property
    def id(self) -> str:
        return f"gzip deflate-{DEFLATE_VERSION} level {self.level}"

    def encode(self, data: bytes) -> bytes:
        return _gzip_member(choose_library(self.level), data, self.level)

    def decode(self, member: bytes, size: int) -> bytes:
        try:
            return choose_library(self.level).decompress(member, size)
        except DamagedMember as error:
            raise IntegrityError(f"the gzip member is damaged: {error}") from error


class Estargz(Gzip, frozen=True):
    """The same gzip members, cut so that single files can be read (``homeport.tree.estargz``)."""

    name = "estargz"

    @property
    def id(self) -> str:
        return f"estargz of {Gzip(self.level).id}"


class Zstd(msgspec.Struct, frozen=True):
    """zstd frames by whatever libzstd is installed; its version is in the id."""

    level: int = _DEFAULT_ZSTD_LEVEL
    name = "zstd"
    byte_stable = False

    @property
    def id(self) -> str:
        version = ".".join(map(str, zstandard.ZSTD_VERSION))
        return f"zstd {version} python-zstandard-{zstandard.__version__} level {self.level}"

    def encode(self, data: bytes) -> bytes:
        return zstandard.ZstdCompressor(level=self.level, write_checksum=True).compress(data)

    def decode(self, member: bytes, size: int) -> bytes:
        try:
            return zstandard.ZstdDecompressor().decompress(member, max_output_size=size)
        except zstandard.ZstdError as error:
            raise IntegrityError(f"the zstd frame is damaged: {error}") from error


class Plain(msgspec.Struct, frozen=True):
    """No compression at all."""

    name = "none"
    byte_stable = True

    @property
    def id(self) -> str:
        return "none"

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, member: bytes, size: int) -> bytes:
        return member[:size]


@functools.cache
def choose_library(level: int) -> Libdeflate:
    """The first installed library that writes the bytes we stand for at this level.

    Raises ``WrongEncoder``. A version says what was installed, the test vector what it does: a
    distribution may have another one, or changed it.
    """
    found = libraries()
    vector, answer = _test_vector(), _KNOWN_ANSWERS[level]
    for library in found:
        if hashlib.sha256(_gzip_member(library, vector, level)).hexdigest() == answer:
            return library
    names = " and ".join(library.name for library in found)
    raise WrongEncoder(
        f"{names}: writes other bytes at level {level} than those that decide digests"
        if found
        else "libdeflate, which decides digests, is not installed",
        hint=f"pip install deflate=={DEFLATE_VERSION}, or libdeflate.so.0 of version 1.23 or newer"
        " (apt install libdeflate0)",
    )


def _gzip_member(library: Libdeflate, data: bytes, level: int) -> bytes:
    trailer = library.crc32(data).to_bytes(4, "little")
    trailer += (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join((_GZIP_HEADER, library.compress(data, level), trailer))


def _test_vector() -> bytes:
    """Text, near repeats and noise: about 60 KB that exercise every kind of block."""
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(256))
    text = b"".join(
        b"/usr/lib/%d/lib%d.so.%d\n" % (n % 7, n * n % 1013, n % 3) for n in range(2000)
    )
    return text + noise + text[: len(noise)] + bytes(4096)
