"""Programs packed by UPX: its headers, block by block, every method and filter."""

from __future__ import annotations

from fuzz.bytes_repair import with_upx_checksum

from builders.binaries import DATA
from homeport.errors import HomeportError
from homeport.inspection.binaries.facts import examine
from homeport.inspection.binaries.upx import METHODS, CannotUnpack, inflate, unfilter, unpack

EXPECTED = (HomeportError, CannotUnpack)
MAX_LENGTH = 16 << 10
_BLOCK = 1 << 16


def fuzz_one(data: bytes) -> None:
    """Unpack a file; then its bytes as one block of every method and filter."""
    whole = with_upx_checksum(data)
    examine(whole)
    for method in METHODS:
        try:
            out = inflate(data, method, min(len(data) * 4, _BLOCK), _nothing)
        except EXPECTED:
            continue
        assert len(out) == min(len(data) * 4, _BLOCK)
    for number in (0x46, 0x49, 0x50, 0x51, 0x52, 0xD0):
        assert len(unfilter(data, number, data[0] if data else 0)) == len(data)
    unpack(whole)


def _nothing() -> None:
    """Never stops."""


def seeds() -> list[bytes]:
    """A tiny program packed by each method."""
    return [(DATA / f"tiny.{end}").read_bytes() for end in ("nrv2b", "nrv2d", "nrv2e", "lzma")]
