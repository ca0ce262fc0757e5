"""How many requests to one host may be under way at once: fewer after 429 or 503.

As many as there are workers, until a host answers 429 or 503; then half as many as there
were, and one more after every few that went well (additive increase, multiplicative
decrease). A request counts until its response begins, with its body if it sends one.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator

TOO_MANY = frozenset({429, 503})
_POLL = 0.1  # seconds between looks at whether the wait was cancelled


class _Host:
    def __init__(self) -> None:
        self.allowed: float | None = None  # no limit
        self.running = 0
        self.shrunk = 0  # seconds within which several refusals count once


class RateLimiter:
    """Counts what is under way. Safe to use from threads."""

    def __init__(self) -> None:
        self._hosts: defaultdict[str, _Host] = defaultdict(_Host)
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def slot(self, host: str, check: Callable[[], None]) -> Iterator[Callable[[int], None]]:
        """Wait for a free slot, calling ``check``; give the status to the function yielded."""
        with self._changed:
            state = self._hosts[host]
            while state.allowed is not None and state.running >= max(1, int(state.allowed)):
                self._changed.wait(_POLL)
                check()
            state.running += 1
            generation = state.shrunk
        status = 0

        def answered(code: int) -> None:
            nonlocal status
            status = code

        try:
            yield answered
        finally:
            with self._changed:
                self._learn(state, status, generation)
                state.running -= 1
                self._changed.notify_all()

    def allowed(self, host: str) -> float | None:
        """How many may be under way at once; ``None`` as long as nothing was refused."""
        with self._changed:
            return self._hosts[host].allowed

    def _learn(self, state: _Host, status: int, generation: int) -> None:
        if status in TOO_MANY:
            if generation == state.shrunk:  # sent before this limit was known: no news
                state.allowed = max(1.0, state.running / 2)
                state.shrunk += 1
        elif status and state.allowed is not None:
            state.allowed += 1 / state.allowed
