"""Files that an earlier run has hashed and that have not changed since.

Hashing is the larger part of the work of sending a large blob and of a build without changes,
and one that goes to three registries need not be hashed three times. What is kept is not "this
digest is good" but "the file with this inode, size and times was": writing to it changes the
times, also with ``touch -r`` (ctime cannot be set), and then it is hashed again.

Not for deciding what a registry holds: it verifies the digest of what it receives itself.
"""

from __future__ import annotations

import os
import time

from homeport.content.blob import Blob
from homeport.content.reading import file_place
from homeport.content.store import Store

_NAMESPACE = "verified"
_WORTH = 1 << 20  # bytes below which hashing costs less than asking
_SETTLED = 2.0  # seconds after which a change would show in the times of every filesystem


class KnownGoodFiles:
    """Records in ``store`` which files were verified. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def state(self, blob: Blob) -> str | None:
        """What is another text after the file behind ``blob`` was written to.

        ``None`` if there is no such file, or if nothing is gained or certain: it is small,
        or was changed a moment ago.
        """
        if blob.size < _WORTH:
            return None
        with blob.open() as stream:
            place = file_place(stream)
            if place is None:
                return None
            status, offset = os.fstat(place[0]), place[1]
        if time.time() - max(status.st_mtime, status.st_ctime) < _SETTLED:
            return None
        numbers = (
            blob.size, offset, status.st_dev, status.st_ino, status.st_size,
            status.st_mtime_ns, status.st_ctime_ns,
        )  # fmt: skip
        return f"{blob.digest} {' '.join(map(str, numbers))}"

    def has(self, state: str | None) -> bool:
        """Whether a file in this state was verified before."""
        return state is not None and self._store.recall(_NAMESPACE, state) is not None

    def add(self, state: str | None, blob: Blob) -> None:
        """``blob`` was verified from its start to its end, and was in ``state`` before that."""
        if state is not None and self.state(blob) == state:
            self._store.remember(_NAMESPACE, state, b"")

    def forget(self, state: str | None) -> None:
        """Remove the record of a file that turned out to be damaged."""
        if state is not None:
            self._store.forget(_NAMESPACE, state)
