"""A blob that is somewhere else until it is first opened, and a file in the store from then on.

Not for fetching: what a kind of place does for that is its own ``fetch``.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.content.blob import Blob, KnownGood
from homeport.content.digest import Digest
from homeport.oci.documents import Descriptor
from homeport.runtime import Runtime


class LazyBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A Blob by its descriptor; size and digest are known before anything is fetched.

    Each kind of place has its own ``fetch``.
    """

    descriptor: Descriptor
    runtime: Runtime

    def fetch(self) -> Blob:
        """The verified content, here from now on. Raises ``Missing`` where no source has it."""
        raise NotImplementedError

    @property
    def digest(self) -> Digest:
        return self.descriptor.parsed_digest

    @property
    def size(self) -> int:
        return self.descriptor.size

    def open(self, offset: int = 0) -> BinaryIO:
        return self.fetch().open(offset)

    def local_path(self) -> Path | None:
        return self.fetch().local_path()

    def verified_file(self) -> Path | None:
        found = self.fetch()
        return found.verified_file() if isinstance(found, KnownGood) else None
