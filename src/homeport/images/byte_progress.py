"""Progress of bytes that are read or written, chunk by chunk, with a look for a stop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from homeport.errors import Interrupted
from homeport.runtime import Runtime


class ByteProgress:
    """Bytes on their way. ``advance`` is called after each chunk: it also looks for a stop."""

    def __init__(self, runtime: Runtime, id: str) -> None:
        self._runtime = runtime
        self._id = id
        self.moved = False

    def advance(self, n: int) -> None:
        self.moved = True
        self.skip(n)

    def skip(self, n: int) -> None:
        """``n`` bytes were there already. Raises ``Interrupted``."""
        self._runtime.cancel.check()
        self._runtime.progress.advance(self._id, n)


@contextlib.contextmanager
def byte_progress(runtime: Runtime, id: str, label: str, total: int) -> Iterator[ByteProgress]:
    """Progress of ``total`` bytes, over when the block is, however it ends."""
    found = ByteProgress(runtime, id)
    runtime.progress.begin(id, label=label, total=total, unit="bytes")
    try:
        yield found
    except BaseException as error:
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        runtime.progress.end(id, "cancelled" if stopped else "failed")
        raise
    runtime.progress.end(id, "done" if found.moved else "cached")
