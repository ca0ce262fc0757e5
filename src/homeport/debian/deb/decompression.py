"""Decompression of a package's members: forward, bounded, strict about the end.

gzip, xz, bzip2 and zstd, several streams one after the other as the formats allow.
A bomb costs time but neither memory nor, thanks to ``limit``, disk.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from homeport.debian.deb.ar import BadDeb
from homeport.errors import TooLarge

_INPUT = 1 << 16
# One block of zstd is at most 128 KiB and may take 4 bytes of input, so a small
# step bounds the output at 64 MiB: its decoder knows no bound of its own.
_ZSTD_INPUT = 1 << 11
_ZSTD_WINDOW = 1 << 27  # bytes; zstd --ultra -22, what dpkg-deb can write
_XZ_MEMORY = 1 << 27  # bytes; xz -9 needs 65 MiB


class Source(Protocol):
    """Compressed bytes, forward."""

    def read(self, size: int, /) -> bytes: ...


class _Decoder(Protocol):
    """One stream, in the manner of ``lzma.LZMADecompressor``."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Unpacked:
    """The decompressed bytes of ``source``.

    what:  names the member in errors
    limit: of decompressed bytes, past which ``TooLarge`` is raised
    """

    def __init__(self, source: Source, compression: str, *, what: str, limit: int) -> None:
        if compression and compression not in _DECODERS:
            raise BadDeb(
                f"{what} has a compression that is not known: {compression}",
                hint="known are none, gz, xz, zst and bz2",
            )
        self._source = source
        self._new = _DECODERS.get(compression)
        self._decoder = self._new() if self._new else None
        self._padding = b"\0" if compression == "xz" else b""
        self._what = what
        self._limit = limit
        self._seen = 0
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end, once all checksums were right."""
        while not self._ended:
            try:
                data = self._step(size)
            except (lzma.LZMAError, zlib.error, OSError, EOFError, zstandard.ZstdError) as error:
                raise BadDeb(f"{self._what} is damaged: {error}") from error
            if data:
                self._seen += len(data)
                if self._seen > self._limit:
                    raise TooLarge(f"{self._what} unpacks to more than {self._limit} bytes")
                return data
        return b""

    def _step(self, size: int) -> bytes:
        decoder = self._decoder
        if decoder is None:
            data = self._source.read(size)
            self._ended = not data
            return data
        if decoder.eof:
            self._next_stream(decoder.unused_data)
            return b""
        data = b""
        if decoder.needs_input:
            data = self._source.read(_INPUT)
            if not data:
                more = ", or garbage follows it" if isinstance(decoder, _Started) else ""
                raise BadDeb(f"{self._what} is truncated{more}")
        return decoder.decompress(data, size)

    def _next_stream(self, rest: bytes) -> None:
        """Begin the stream that follows, if any; padding may stand between (xz format 2.2)."""
        while not (rest := rest.lstrip(self._padding) if self._padding else rest):
            rest = self._source.read(_INPUT)
            if not rest:
                self._ended = True
                return
        assert self._new is not None
        self._decoder = _Started(self._new(), rest)


class _Started:
    """A decoder and the input that was read before it was made."""

    def __init__(self, decoder: _Decoder, data: bytes) -> None:
        self._decoder = decoder
        self._data = data

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._data and self._decoder.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data, self._data = self._data + data, b""
        return self._decoder.decompress(data, max_length)


class _Gzip:
    """zlib's decoder, which hands back input that it did not get to."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length
        return found


class _Zstd:
    """zstd's decoder, fed in small steps."""

    def __init__(self) -> None:
        decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._zstd = decoder.decompressobj()
        self._input = b""
        self._output = b""

    @property
    def eof(self) -> bool:
        return self._zstd.eof and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data + self._input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._input += data
        if not self._output and not self._zstd.eof:
            step, self._input = self._input[:_ZSTD_INPUT], self._input[_ZSTD_INPUT:]
            self._output = self._zstd.decompress(step)
        found, self._output = self._output[:max_length], self._output[max_length:]
        return found


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gz": _Gzip,
    "xz": _xz,
    "bz2": bz2.BZ2Decompressor,
    "zst": _Zstd,
}
