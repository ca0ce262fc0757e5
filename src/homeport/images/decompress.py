"""Opening compressed streams by their first bytes: gzip, zstd, xz and bzip2.

For whole archives and layers of other people; bounds are the reader's affair. Not for
compression that decides digests (``tree.compression``).
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from homeport.content.blob import Blob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import CHUNK, Readable
from homeport.errors import IntegrityError
from homeport.images.transport import Work

_XZ_MEMORY = 256 << 20  # bytes; what xz -9 needs is 65 MiB


def decompressed(stream: BinaryIO, what: str) -> Readable:
    """``stream`` itself if it is not compressed, else a reader of what it unfolds to.

    The stream must be able to seek and stands at its start. A reader of damaged data
    raises ``IntegrityError`` naming ``what``.
    """
    start = stream.read(6)
    stream.seek(0)
    for magic, opener in _FORMATS.items():
        if start.startswith(magic):
            return _Explained(opener(stream), what)
    return stream


def _open_zstd(stream: BinaryIO) -> Readable:
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=128 << 20)
    return cast("Readable", decompressor.stream_reader(stream, read_across_frames=True))


def unfolded_zstd(blob: Blob, folder: Path, work: Work) -> FileBlob:
    """What a zstd layer unfolds to, as a file in ``folder``; the layer is verified."""
    hasher = hashlib.sha256()
    path = folder / blob.digest.hex
    size = 0
    with verified(blob, "the layer") as source, explained(path), path.open("xb") as out:
        plain = _Explained(_open_zstd(cast("BinaryIO", source)), str(blob.digest))
        while chunk := plain.read(CHUNK):
            work.cancel.check()
            out.write(chunk)
            hasher.update(chunk)
            size += len(chunk)
    return FileBlob(path, Digest.finished(hasher), size)


class _Xz:
    """xz streams one after the other; unlike ``lzma.LZMAFile``, with a bound on memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if self._decoder.eof:
                rest = self._decoder.unused_data or self._stream.read(CHUNK)
                rest = rest.lstrip(b"\0")  # padding between streams
                if not rest:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            else:
                rest = self._stream.read(CHUNK) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not rest:
                    raise EOFError("it ends too early")
            if data := self._decoder.decompress(rest, max_length=size):
                return data

    def close(self) -> None:
        self._stream.close()


_FORMATS: dict[bytes, Callable[[BinaryIO], Readable]] = {
    b"\x1f\x8b": lambda stream: cast("Readable", gzip.GzipFile(fileobj=stream)),
    b"\x28\xb5\x2f\xfd": _open_zstd,
    b"\xfd7zXZ\0": _Xz,
    b"BZh": lambda stream: cast("Readable", bz2.BZ2File(stream)),
}


class _Explained:
    """A decompressing reader whose library's errors are ours."""

    def __init__(self, inner: Readable, what: str) -> None:
        self._inner = inner
        self._what = what

    def read(self, size: int = -1, /) -> bytes:
        import zstandard

        try:
            return self._inner.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
            raise IntegrityError(f"the compressed data of {self._what} is damaged: {error}") from (
                error
            )

    def close(self) -> None:
        self._inner.close()
