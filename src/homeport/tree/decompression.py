"""Reading streams that others compressed: gzip, zstd, xz, bzip2, or not at all.

Forward only, several members one after the other, told apart by their first bytes. Memory
is bounded, whatever the data say; what comes out is not: readers count. Not for what
decides a digest (``compression``).
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Literal, Protocol, cast

import zstandard

from homeport.content.reading import CHUNK, Readable
from homeport.errors import IntegrityError

try:
    from isal import igzip_lib
except ImportError:
    _HAS_ISAL = False
else:
    _HAS_ISAL = True

Codec = Literal["gzip", "zstd", "xz", "bzip2", "none"]
#: Bytes from the start of a stream that tell its codec.
MAGIC_LENGTH = 6

_INPUT = 1 << 16  # bytes read at once, at least
# One block of zstd is at most 128 KiB and may take 4 bytes of input, so a small step
# bounds the output at 128 MiB: its decoder knows no bound of its own.
_ZSTD_INPUT = 1 << 12
_ZSTD_WINDOW = 128 << 20  # bytes; zstd --ultra -22
_XZ_MEMORY = 256 << 20  # bytes; xz -9 needs 65 MiB
_MAGIC: dict[bytes, Codec] = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
}
_SKIPPED = b"\x2a\x4d\x18"  # of a frame that zstd skips: pzstd begins with one


class Source(Protocol):
    """Returns at most so many bytes."""

    def read(self, size: int, /) -> bytes: ...


def codec_of(start: bytes) -> Codec:
    """The codec of a stream that begins with these ``MAGIC_LENGTH`` bytes."""
    if start[1:4] == _SKIPPED and start[0] & 0xF0 == 0x50:
        return "zstd"
    return next((codec for magic, codec in _MAGIC.items() if start.startswith(magic)), "none")


def decompressed(stream: Readable, what: str) -> Readable:
    """What ``stream`` unpacks to. Closing the answer closes ``stream``.

    Reading damaged or truncated data raises ``IntegrityError`` naming ``what``.
    """
    start = b""
    while len(start) < MAGIC_LENGTH and (more := stream.read(MAGIC_LENGTH - len(start))):
        start += more
    codec = codec_of(start)
    # zstd has padding of its own, and nothing else may stand between its frames.
    return _Explained(
        *_decoded(_Replayed(start, stream), codec, padded=codec != "zstd"), what, stream.close
    )


def decoded(source: Source, codec: Codec, what: str, *, padded: bool) -> Source:
    """What ``source`` unpacks to, in a codec that is known.

    padded: whether zeros may stand between members and after the last

    Reading damaged or truncated data raises ``IntegrityError`` naming ``what``.
    """
    return _Explained(*_decoded(source, codec, padded=padded), what, lambda: None)


def _decoded(
    source: Source, codec: Codec, *, padded: bool
) -> tuple[Source, tuple[type[Exception], ...]]:
    """The decoded members, and the errors of their library."""
    if codec == "none":
        return source, ()
    new, error = _decoders(codec)
    return _Members(source, new, b"\0" if padded else b""), (error,)


class _Decoder(Protocol):
    """One member, in the manner of ``lzma.LZMADecompressor``."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _decoders(codec: Codec) -> tuple[Callable[[], _Decoder], type[Exception]]:
    """What makes a decoder for a member, and the error that it raises."""
    if codec == "gzip":
        return _gzip()
    if codec == "xz":
        return _xz, lzma.LZMAError
    if codec == "bzip2":
        return bz2.BZ2Decompressor, OSError
    shared = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return lambda: _Zstd(shared.decompressobj()), zstandard.ZstdError


def _gzip() -> tuple[Callable[[], _Decoder], type[Exception]]:
    """Intel's decoder, twice as fast, where there is one; both check what members end with."""
    if not _HAS_ISAL:
        return _Gzip, zlib.error
    flag = igzip_lib.DECOMP_GZIP
    error = cast("type[Exception]", igzip_lib.IsalError)  # its stubs take it for an instance
    return lambda: cast("_Decoder", igzip_lib.IgzipDecompressor(flag=flag)), error


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


class _Gzip:
    """zlib's decoder, which returns input that it did not consume."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        # Without input it may still hold output that did not fit before.
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length
        return found


class _Zstd:
    """zstd's decoder, fed in small steps; unlike its stream reader it knows a truncated frame."""

    def __init__(self, decoder: Any) -> None:
        self._zstd = decoder
        self._input = memoryview(b"")
        self._output = memoryview(b"")

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof) and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zstd.unused_data) + self._input

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:  # only ever when there was no input left
            self._input = memoryview(data)
        while not self._output and self._input and not self._zstd.eof:
            step, self._input = self._input[:_ZSTD_INPUT], self._input[_ZSTD_INPUT:]
            self._output = memoryview(self._zstd.decompress(step))
        found, self._output = self._output[:max_length], self._output[max_length:]
        return bytes(found)


class _Members:
    """The members of a stream, one after the other; zeros between and after are padding."""

    def __init__(self, source: Source, new: Callable[[], _Decoder], padding: bytes) -> None:
        self._source = source
        self._new = new
        self._padding = padding
        self._decoder = new()
        self._input = b""
        self._ended = False
        self._later = False  # whether this is not the first member

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            decoder = self._decoder
            if decoder.eof:
                self._next(decoder.unused_data)
                continue
            data, self._input = self._input, b""
            if not data and decoder.needs_input:
                # Large steps for who reads large ones: threads wait for each other between steps.
                data = self._source.read(max(_INPUT, size))
                if not data:
                    more = ", or garbage follows it" if self._later else ""
                    raise EOFError(f"it is truncated{more}")
            if found := decoder.decompress(data, size):
                return found
        return b""

    def _next(self, rest: bytes) -> None:
        while not (rest := rest.lstrip(self._padding) if self._padding else rest):
            rest = self._source.read(_INPUT)
            if not rest:
                self._ended = True
                return
        self._input = rest
        self._later = True
        self._decoder = self._new()


class _Replayed:
    """The bytes that were read to look at them, then the rest of the stream."""

    def __init__(self, start: bytes, stream: Readable) -> None:
        self._start = start
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if self._start:
            piece, self._start = self._start[:size], self._start[size:]
            return piece
        return self._stream.read(size)


class _Explained:
    """A decompressing reader whose library's errors are ours."""

    def __init__(
        self,
        inner: Source,
        errors: tuple[type[Exception], ...],
        what: str,
        close: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._errors: tuple[type[Exception], ...] = (EOFError, OSError, *errors)
        self._what = what
        self.close = close

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if size == 0:
            return b""
        try:
            return self._inner.read(size)
        except self._errors as error:
            raise IntegrityError(f"{self._what} is damaged: {error}") from error
