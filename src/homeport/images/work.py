"""What work on an image takes from its caller: progress, cancellation, room for temporary files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.errors import Interrupted
from homeport.progress import CancelToken, Progress, Silent


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What long work needs from its caller.

    parent: the id of the piece of work that new ones belong to
    spool:  where unfinished temporary files may lie; ``None`` is the system's place
    """

    progress: Progress = msgspec.field(default_factory=Silent)
    cancel: CancelToken = msgspec.field(default_factory=CancelToken)
    parent: str | None = None
    spool: Path | None = None

    @contextlib.contextmanager
    def piece(self, id: str, label: str, total: int) -> Iterator[Piece]:
        """A piece of work of ``total`` bytes, over when the block is, however it ends."""
        found = Piece(self, id)
        self.progress.begin(id, parent=self.parent, label=label, total=total, unit="bytes")
        try:
            yield found
        except BaseException as error:
            stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
            self.progress.end(id, "cancelled" if stopped else "failed")
            raise
        self.progress.end(id, "done" if found.moved else "cached")


class Piece:
    """Bytes on their way. ``advance`` is called after each chunk: it also looks for a stop."""

    def __init__(self, work: Work, id: str) -> None:
        self._work = work
        self._id = id
        self.moved = False

    def advance(self, n: int) -> None:
        self.moved = True
        self.skip(n)

    def skip(self, n: int) -> None:
        """``n`` bytes were there already. Raises ``Interrupted``."""
        self._work.cancel.check()
        self._work.progress.advance(self._id, n)
