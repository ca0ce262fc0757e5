"""Content that is verified while it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest


class CheckedBlob(msgspec.Struct, frozen=True):
    """A Blob that is verified whenever it is read from its start to its end."""

    blob: Blob

    @property
    def digest(self) -> Digest:
        return self.blob.digest

    @property
    def size(self) -> int:
        return self.blob.size

    def open(self, offset: int = 0) -> BinaryIO:
        if offset:
            return self.blob.open(offset)
        return cast("BinaryIO", verified(self.blob, f"the content {self.blob.digest}"))

    def local_path(self) -> Path | None:
        return self.blob.local_path()
