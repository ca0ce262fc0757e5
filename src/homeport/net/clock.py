"""An injected clock: waiting, deadlines and dates, so that no test has to sleep."""

from __future__ import annotations

import time
from typing import Protocol

import msgspec

from homeport.net.errors import DeadlinePassed
from homeport.progress import CancelToken


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds of a monotonic clock."""

    def time(self) -> float:
        """Seconds since 1970 by the clock of this machine."""

    def wait(self, seconds: float, cancel: CancelToken) -> None:
        """Sleep; raise ``Interrupted`` as soon as ``cancel`` is set."""


class SystemClock:
    """The clock of this machine."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def wait(self, seconds: float, cancel: CancelToken) -> None:
        cancel.wait(seconds)


_HINT = "allow more time with --timeout SECONDS"
_TICK = 0.01  # seconds; a socket that waits until the deadline may wake a little before it


class Deadline(msgspec.Struct, frozen=True):
    """The time at which the whole operation must have ended."""

    clock: Clock
    at: float
    seconds: float = 0.0
    hint: str | None = _HINT

    @classmethod
    def after(
        cls, seconds: float, clock: Clock | None = None, *, hint: str | None = _HINT
    ) -> Deadline:
        """hint: of the error; by default the option that sets such a time"""
        clock = clock or SystemClock()
        return cls(clock, clock.monotonic() + seconds, seconds, hint)

    def left(self) -> float:
        """Seconds left; raises ``DeadlinePassed`` when there are none."""
        left = self.at - self.clock.monotonic()
        if left <= _TICK:
            raise DeadlinePassed(f"timed out after {self.seconds:g} s", hint=self.hint)
        return left
