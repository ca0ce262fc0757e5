"""Readers that bound and verify what comes from outside, while it streams."""

from __future__ import annotations

import io
import os
import stat
from typing import Any, Protocol

from homeport.content.digest import Digest
from homeport.errors import IntegrityError, TooLarge
from homeport.quantities import apart, human_size

CHUNK = 1 << 20  # bytes; large enough that Python's loop does not show


class Readable(Protocol):
    """Whatever can be read forward and closed."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


def read_bounded(stream: Readable, limit: int, what: str) -> bytes:
    """All of ``stream``, which may hold at most ``limit`` bytes.

    Raises ``TooLarge`` naming ``what`` and the limit. One byte past the limit is
    asked for, never more.
    """
    whole = io.BytesIO()  # a list of parts would cost more than they hold if they are tiny
    left = limit + 1
    while left > 0 and (chunk := stream.read(min(left, CHUNK))):
        whole.write(chunk)
        left -= len(chunk)
    if left <= 0:
        raise TooLarge(f"{what} is larger than {human_size(limit)}")
    return whole.getvalue()


class VerifiedReader(io.RawIOBase):
    """Reads a stream and checks size and digest at its end.

    The last bytes are handed out only after both are right, so a reader that
    stops at the end of file has verified content. Reads at most one byte past the
    expected size. Raises ``IntegrityError``.
    """

    def __init__(self, stream: Readable, digest: Digest, size: int, what: str = "content") -> None:
        super().__init__()
        self._stream = stream
        self._digest = digest
        self._size = size
        self._what = what
        self._hasher: Any = digest.hasher()
        self._seen = 0
        self._checked = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        if self._checked or size == 0:
            return b""
        left = self._size - self._seen
        chunk = self._stream.read(min(size, left)) if left else b""
        if left and not chunk:
            seen, wanted = apart(self._seen, self._size)
            raise IntegrityError(
                f"{self._what} is truncated: {seen} of {wanted}",
                where={"digest": str(self._digest)},
            )
        self._hasher.update(chunk)
        self._seen += len(chunk)
        if self._seen == self._size:
            self._check_end()
        return chunk

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(CHUNK), b""))

    def _check_end(self) -> None:
        if self._stream.read(1):
            raise IntegrityError(
                f"{self._what} is larger than the expected {human_size(self._size)}",
                where={"digest": str(self._digest)},
            )
        found = Digest.finished(self._hasher, self._digest.algorithm)
        if found != self._digest:
            raise IntegrityError(
                f"{self._what} has digest {found}, expected {self._digest}",
                where={"digest": str(self._digest)},
            )
        self._checked = True

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class Slice(io.RawIOBase):
    """Bytes ``start`` to ``start + size`` of an open file; moves no other reader's position."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._at = start
        self._end = start + size

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def tell(self) -> int:
        """The position in the file that this is a part of."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def read(self, size: int = -1, /) -> bytes:
        left = self._end - self._at
        wanted = left if size is None or size < 0 else min(size, left)
        chunk = os.pread(self._descriptor, wanted, self._at) if wanted else b""
        self._at += len(chunk)
        return chunk


def file_place(stream: Any) -> tuple[int, int] | None:
    """The regular file that ``stream`` returns unchanged, and where it is in it.

    As (descriptor, offset), or ``None`` if it may do more than read a file: only what is
    known to be plain is taken for plain, since a decompressor has a descriptor too.
    """
    plain = isinstance(stream, io.BufferedReader) and type(stream.raw) is io.FileIO
    if not plain and not isinstance(stream, Slice):
        return None
    place = stream.fileno(), stream.tell()
    return place if stat.S_ISREG(os.fstat(place[0]).st_mode) else None
