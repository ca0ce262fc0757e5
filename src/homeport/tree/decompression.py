"""Reading streams that others compressed: gzip, zstd, xz, bzip2, or not at all.

Forward only, several members one after the other, told apart by their first bytes. Not
for what decides a digest (``compression``), and no bound on what comes out: readers count.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import Any, BinaryIO, cast

from homeport.content.reading import CHUNK, Readable
from homeport.errors import IntegrityError

_INPUT = 1 << 16  # bytes read at once
_ZSTD_WINDOW = 128 << 20
_MAGIC_LENGTH = 6


def decompressed(stream: Readable, what: str) -> Readable:
    """What ``stream`` unfolds to. Closing the answer closes ``stream``.

    Reading damaged or truncated data raises ``IntegrityError`` naming ``what``.
    """
    start = b""
    while len(start) < _MAGIC_LENGTH and (more := stream.read(_MAGIC_LENGTH - len(start))):
        start += more
    source = _Replayed(start, stream)
    errors: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error, lzma.LZMAError)
    inner: Any = source
    if start.startswith(b"\x1f\x8b"):
        inner = _Gunzip(source)
    elif start.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        inner = decompressor.stream_reader(cast("BinaryIO", source), read_across_frames=True)
        errors = (zstandard.ZstdError,)
    elif start.startswith(b"\xfd7zXZ\0"):
        inner = lzma.LZMAFile(io.BufferedReader(source))  # noqa: SIM115  closed by its owner
    elif start.startswith(b"BZh"):
        inner = bz2.BZ2File(io.BufferedReader(source))
    return _Explained(inner, stream, what, errors)


class _Replayed(io.RawIOBase):
    """The bytes that were read to look at them, then the rest of the stream."""

    def __init__(self, start: bytes, stream: Readable) -> None:
        super().__init__()
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._start:
            size = len(self._start) if size < 0 else size
            piece, self._start = self._start[:size], self._start[size:]
            return piece
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


class _Gunzip:
    """gzip members in large steps; zeros after the last one are padding (as gzip(1) has it)."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._decoder = zlib.decompressobj(wbits=31)
        self._input = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            if self._decoder.eof:
                self._next_member()
                continue
            data = self._decoder.unconsumed_tail or self._input or self._source.read(_INPUT)
            self._input = b""
            # Without input the decoder may still hold output that did not fit before.
            found = self._decoder.decompress(data, size)
            if found:
                return found
            if not data and not self._decoder.eof:
                raise EOFError("it is truncated")
        return b""

    def _next_member(self) -> None:
        rest = self._decoder.unused_data
        while not (rest := rest.lstrip(b"\0")):
            rest = self._source.read(_INPUT)
            if not rest:
                self._ended = True
                return
        self._input = rest
        self._decoder = zlib.decompressobj(wbits=31)


class _Explained:
    """A decompressing reader whose library's errors are ours."""

    def __init__(
        self, inner: Any, stream: Readable, what: str, errors: tuple[type[Exception], ...]
    ) -> None:
        self._inner = inner
        self._stream = stream
        self._what = what
        self._errors = errors

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        try:
            return bytes(self._inner.read(size))
        except self._errors as error:
            raise IntegrityError(f"{self._what} is damaged: {error}") from error

    def close(self) -> None:
        self._stream.close()
