"""The pack: the wanted files of a package as one file in the store.

One file in the store instead of hundreds is written, found and pruned at once.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.content.store import Store, StoreWriter
from homeport.debian.deb.deb import DebReader, Entry
from homeport.errors import IntegrityError
from homeport.progress import CancelToken

_BUFFER = 1 << 16


class FileExtent(msgspec.Struct, frozen=True):
    """Offset, size and digest of a file's content in the pack."""

    path: bytes
    digest: str
    offset: int
    size: int


class Pack:
    """The content of wanted files, one after the other, each with its own digest."""

    def __init__(self, writer: StoreWriter) -> None:
        self._writer = writer
        self.extents: list[FileExtent] = []

    def add(self, entry: Entry, reader: DebReader, cancel: CancelToken) -> None:
        offset = self._writer.size
        hasher = hashlib.sha256()
        while data := reader.read(CHUNK):
            cancel.check()
            hasher.update(data)
            self._writer.write(data)
        digest = f"sha256:{hasher.hexdigest()}"
        self.extents.append(FileExtent(entry.path, digest, offset, self._writer.size - offset))


class PackedBlob(msgspec.Struct, frozen=True):
    """A Blob that is a part of a pack in the store."""

    pack: Blob
    start: int
    size: int
    digest: Digest
    store: Store

    def open(self, offset: int = 0) -> BinaryIO:
        """A reader; read as a whole it checks itself, and drops a pack that is damaged."""
        stream = self.pack.open(self.start + offset)
        return cast("BinaryIO", io.BufferedReader(_Part(stream, self, offset), _BUFFER))

    def local_path(self) -> Path | None:
        return None


class _Part(io.RawIOBase):
    """The bytes of one ``PackedBlob``, from ``offset`` on."""

    def __init__(self, stream: BinaryIO, blob: PackedBlob, offset: int) -> None:
        super().__init__()
        self._stream = stream
        self._blob = blob
        self._left = max(0, blob.size - offset)
        self._hasher = blob.digest.hasher() if offset == 0 else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        ends_early = self._left and not data
        self._left -= len(data)
        if self._hasher is not None:
            self._hasher.update(data)
            if not self._left or ends_early:
                self._check(self._hasher)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()

    def _check(self, hasher: Any) -> None:
        """Packs are written without waiting for the disk: a power cut may leave anything."""
        blob = self._blob
        if Digest.finished(hasher, blob.digest.algorithm) == blob.digest:
            return
        blob.store.drop(blob.pack.digest)
        raise IntegrityError(
            "a package's content in the cache is damaged; it was removed from there",
            where={"digest": str(blob.digest)},
            hint="run the same command again",
        )
