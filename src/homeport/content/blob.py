"""Blobs: bytes with a digest and a size that can be read again from any offset.

Everything that travels is one (invariant "Replayable bodies"): a request that must
be sent again simply opens its Blob again. Remote things become Blobs by being
spooled into the store first.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, cast, runtime_checkable

import msgspec

from homeport.content.digest import Digest
from homeport.content.reading import Readable, VerifiedReader, read_bounded


class Blob(Protocol):
    """Bytes that can be read again, from any offset, as often as needed."""

    @property
    def digest(self) -> Digest: ...

    @property
    def size(self) -> int:
        """Length in bytes."""

    def open(self, offset: int = 0) -> BinaryIO:
        """A fresh reader that starts at byte ``offset``. Nothing is checked."""

    def local_path(self) -> Path | None:
        """A file that holds exactly these bytes, if there is one and it may be read directly."""


@runtime_checkable
class KnownGood(Protocol):
    """A Blob that may have been verified in this very run, so that it need not be again."""

    def verified_file(self) -> Path | None:
        """The durable file that this process has itself hashed, or ``None``."""


@runtime_checkable
class Remote(Protocol):
    """A Blob that is somewhere else until it is first opened."""

    @property
    def size(self) -> int: ...

    def fetch(self) -> Blob:
        """The verified content, here from now on."""


def verified(blob: Blob, what: str = "blob") -> VerifiedReader:
    """Read ``blob`` from its start; size and digest are checked at the end."""
    return VerifiedReader(cast("Readable", blob.open()), blob.digest, blob.size, what)


def read_verified(blob: Blob, limit: int, what: str) -> bytes:
    """All of ``blob``, checked. Raises ``TooLarge`` beyond ``limit`` bytes, ``IntegrityError``."""
    with verified(blob, what) as stream:
        return read_bounded(stream, limit, what)


def seekable(blob: Blob) -> BinaryIO:
    """A reader of ``blob`` that can seek, for formats read out of order. Nothing is checked."""
    return cast("BinaryIO", io.BufferedReader(_Seekable(blob), 1 << 16))


class _Seekable(io.RawIOBase):
    """Opens the blob again at the place that is read next."""

    def __init__(self, blob: Blob) -> None:
        super().__init__()
        self._blob = blob
        self._position = 0
        self._stream: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._blob.size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if base + offset != self._position:
            self._forget()
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._blob.size:
            return 0
        if self._stream is None:
            self._stream = self._blob.open(self._position)
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._forget()
        super().close()

    def _forget(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; does not wait at a named pipe, nor read a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


class BytesBlob:
    """A small Blob in memory: a manifest, a config, a test's content."""

    __slots__ = ("data", "digest")

    def __init__(self, data: bytes, algorithm: str = "sha256") -> None:
        self.data: Final = data
        self.digest: Final = Digest.of(data, algorithm)

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, BytesBlob) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"BytesBlob({self.data[:64]!r}, {self.digest})"

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, offset: int = 0) -> BinaryIO:
        return io.BytesIO(self.data[offset:])

    def local_path(self) -> Path | None:
        return None


class FileBlob(msgspec.Struct, frozen=True):
    """A Blob that is a whole file, whose digest was verified before.

    verified_now: this process has itself hashed and synced it, a moment ago
    """

    path: Path
    digest: Digest
    size: int
    verified_now: bool = False

    def __eq__(self, other: object) -> bool:
        """Whether it is the same file; when it was verified does not count."""
        return self._file() == other._file() if isinstance(other, FileBlob) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._file())

    def _file(self) -> tuple[Path, Digest, int]:
        return (self.path, self.digest, self.size)

    def open(self, offset: int = 0) -> BinaryIO:
        stream = open_regular(self.path)
        stream.seek(offset)
        return stream

    def local_path(self) -> Path | None:
        return self.path

    def verified_file(self) -> Path | None:
        return self.path if self.verified_now else None
