"""A layer of an archive in a codec that no media type of layers names, read unpacked."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

import msgspec

from homeport.budget import Budget
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK, Readable
from homeport.images.storage.files import Files
from homeport.tree.decompression import decompressed


class UnpackedBlob(msgspec.Struct, frozen=True):
    """What the file ``name`` unpacks to; its digest is a claim until it is read verified.

    It is unpacked each time that it is read, and never kept.
    """

    files: Files
    name: str
    digest: Digest
    size: int

    @classmethod
    def of(cls, files: Files, name: str, digest: Digest) -> Self:
        """Unpacks it once, for its size. Raises ``LimitExceeded``, ``IntegrityError``."""
        budget = Budget(f"{files.place}/{name}", packed=files.size(name))
        size = 0
        with contextlib.closing(_opened(files, name)) as stream:
            while chunk := stream.read(CHUNK):
                budget.data(len(chunk))
                size += len(chunk)
        return cls(files, name, digest, size)

    def open(self, offset: int = 0) -> BinaryIO:
        stream = _opened(self.files, self.name)
        while offset > 0 and (skipped := stream.read(min(offset, CHUNK))):
            offset -= len(skipped)
        return cast("BinaryIO", io.BufferedReader(_Raw(stream), CHUNK))

    def local_path(self) -> Path | None:
        return None


class _Raw(io.RawIOBase):
    """A reader as a file of Python's, with all that its buffered form brings."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def _opened(files: Files, name: str) -> Readable:
    return decompressed(files.open(name), f"{files.place}/{name}")
