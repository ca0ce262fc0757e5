"""Blobs: bytes with a digest and a size that can be read again from any offset.

Everything that travels is one (invariant "Replayable bodies"): a request that must
be sent again simply opens its Blob again. Remote things become Blobs by being
spooled into the store first.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from homeport.content.digest import Digest
from homeport.content.reading import Readable, VerifiedReader


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


def verified(blob: Blob, what: str = "blob") -> VerifiedReader:
    """Read ``blob`` from its start; size and digest are checked at the end."""
    return VerifiedReader(cast("Readable", blob.open()), blob.digest, blob.size, what)


@dataclass(frozen=True, slots=True)
class BytesBlob:
    """A small Blob in memory: a manifest, a config, a test's content."""

    data: bytes
    digest: Digest = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", Digest.of(self.data))

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, offset: int = 0) -> BinaryIO:
        return io.BytesIO(self.data[offset:])

    def local_path(self) -> Path | None:
        return None


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A Blob that is a whole file, whose digest somebody has vouched for."""

    path: Path
    digest: Digest
    size: int

    def open(self, offset: int = 0) -> BinaryIO:
        stream = self.path.open("rb")
        stream.seek(offset)
        return stream

    def local_path(self) -> Path | None:
        return self.path
