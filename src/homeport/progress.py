"""Progress reports of long operations, and the token that cancels them.

Workers call ``Progress``; who shows it (a terminal, plain lines, nothing) is decided
by ``homeport.cli``. Calls may come from any thread. ``CancelToken`` is checked at
every read and write of long work.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Literal, Protocol

from homeport.errors import Interrupted

State = Literal["done", "cached", "failed", "cancelled"]
Unit = Literal["bytes", "items", ""]


class Progress(Protocol):
    """A tree of named pieces of work. ``id`` is the caller's, unique within a run."""

    def begin(
        self,
        id: str,
        *,
        parent: str | None = None,
        label: str = "",
        total: int | None = None,
        unit: Unit = "",
    ) -> None:
        """Start a piece of work; ``total`` in units when it is known."""

    def advance(self, id: str, n: int) -> None:
        """``n`` more units are done (negative after a restart of the piece)."""

    def note(self, id: str, text: str) -> None:
        """One line for the user: a retry, a fallback, a choice.

        What the user may have to do something about begins with ``warning: ``; the same warning
        is shown once in a run, however many layers, platforms or images give it.
        """

    def end(self, id: str, state: State = "done") -> None:
        """The piece of work is over."""


class Silent:
    """The default: nothing is shown."""

    def begin(
        self,
        id: str,
        *,
        parent: str | None = None,
        label: str = "",
        total: int | None = None,
        unit: Unit = "",
    ) -> None:
        pass

    def advance(self, id: str, n: int) -> None:
        pass

    def note(self, id: str, text: str) -> None:
        pass

    def end(self, id: str, state: State = "done") -> None:
        pass


class Handover:
    """Passes reports on to ``to``, which may change: a screen that opens is not written over."""

    def __init__(self, to: Progress) -> None:
        self.to = to

    def begin(
        self,
        id: str,
        *,
        parent: str | None = None,
        label: str = "",
        total: int | None = None,
        unit: Unit = "",
    ) -> None:
        self.to.begin(id, parent=parent, label=label, total=total, unit=unit)

    def advance(self, id: str, n: int) -> None:
        self.to.advance(id, n)

    def note(self, id: str, text: str) -> None:
        self.to.note(id, text)

    def end(self, id: str, state: State = "done") -> None:
        self.to.end(id, state)


class CancelToken:
    """Set once, by a signal or after a failure; every loop that moves bytes checks it.

    No ``threading.Event``: a signal may come while this very thread holds its lock, and
    then setting it there never returns. Here each waiter has a lock of its own.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._waiters: list[threading.Lock] = []

    def cancel(self) -> None:
        self.cancelled = True
        for waiter in list(self._waiters):
            with contextlib.suppress(RuntimeError):  # another thread released it
                waiter.release()

    def check(self) -> None:
        """Raise ``Interrupted`` if cancelled."""
        if self.cancelled:
            raise Interrupted

    def wait(self, seconds: float) -> None:
        """Sleep at most ``seconds``; raise ``Interrupted`` at once when cancelled."""
        waiter = threading.Lock()
        waiter.acquire()
        self._waiters.append(waiter)
        try:
            if not self.cancelled:
                waiter.acquire(timeout=max(0.0, seconds))
        finally:
            self._waiters.remove(waiter)
        self.check()
