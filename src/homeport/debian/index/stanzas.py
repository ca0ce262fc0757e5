"""The text of a Packages index, unpacked and verified while it streams.

Nothing of it may be kept before the iterator has ended without an error: only then size
and digest are known to be right. Never more than a block is in memory.
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterator
from typing import Protocol, cast

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK, Readable, VerifiedReader
from homeport.debian.listed_file import ListedFile
from homeport.errors import IntegrityError, TooLarge
from homeport.progress import CancelToken

_MAX_INDEX = 1 << 30  # bytes of one index, unpacked; Debian's largest has 60 MB
#: Bytes of text handed out at once. Large, because several indexes are unpacked side by side:
#: every call that gives up the interpreter's lock may wait 5 ms to get it back.
BLOCK = 4 << 20
_LZMA_MEMORY = 256 << 20  # bytes; xz -9 needs 65 MiB


class _Decoder(Protocol):
    """Hands out at most ``BLOCK`` bytes at a time; fed anew when it has nothing left."""

    def feed(self, data: bytes) -> None: ...

    def take(self) -> bytes: ...

    def finished(self) -> bool: ...


class _Xz:
    def __init__(self) -> None:
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
        self._input = b""

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        if self._decoder.eof:
            self._input = self._decoder.unused_data
            if not self._input:
                return b""
            self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
        data, self._input = self._input, b""
        return self._decoder.decompress(data, BLOCK)

    def finished(self) -> bool:
        return self._decoder.eof


class _Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(31)
        self._input = b""

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        if self._decoder.eof:
            self._input = self._decoder.unused_data + self._input
            if not self._input:
                return b""
            self._decoder = zlib.decompressobj(31)
        text = self._decoder.decompress(self._input, BLOCK)
        self._input = self._decoder.unconsumed_tail
        return text

    def finished(self) -> bool:
        return self._decoder.eof


class _Plain:
    def __init__(self) -> None:
        self._input = b""

    def feed(self, data: bytes) -> None:
        self._input += data

    def take(self) -> bytes:
        text, self._input = self._input[:BLOCK], self._input[BLOCK:]
        return text

    def finished(self) -> bool:
        return not self._input


def index_text(
    blob: Blob, form: ListedFile, plain: ListedFile | None, cancel: CancelToken
) -> Iterator[bytes]:
    """The text of ``blob``, which is the index ``form``, in blocks.

    plain: what the release file says of the unpacked index, if it says anything
    Raises ``IntegrityError`` or ``TooLarge``; then nothing that was handed out may be used.
    """
    limit = plain.size if plain is not None else _MAX_INDEX
    hasher = plain.digest.hasher() if plain is not None else None
    size = 0
    for text in _decoded(blob, form, cancel):
        size += len(text)
        if size > limit:
            raise TooLarge(f"{form.path} unpacks to more than {limit} bytes")
        if hasher is not None:
            hasher.update(text)
        yield text
    if plain is None or hasher is None:
        return
    found = Digest.finished(hasher, plain.digest.algorithm)
    if (size, found) != (plain.size, plain.digest):
        raise IntegrityError(
            f"{form.path} unpacks to {size} bytes with {found}, "
            f"expected {plain.size} bytes with {plain.digest}"
        )


def _decoded(blob: Blob, form: ListedFile, cancel: CancelToken) -> Iterator[bytes]:
    decoder: _Decoder
    if form.path.endswith(".xz"):
        decoder = _Xz()
    elif form.path.endswith(".gz"):
        decoder = _Gzip()
    else:
        decoder = _Plain()
    raw = cast("Readable", blob.open())
    with VerifiedReader(raw, form.digest, form.size, form.path) as stream:
        try:
            while data := stream.read(CHUNK):
                decoder.feed(data)
                while text := decoder.take():
                    cancel.check()
                    yield text
        except (lzma.LZMAError, zlib.error, EOFError) as error:
            raise IntegrityError(f"{form.path} cannot be unpacked: {error}") from error
    if not decoder.finished():
        raise IntegrityError(f"{form.path} is truncated")
