"""Clients for tests: no real waiting, short limits."""

from __future__ import annotations

from typing import Any

from homeport.net.client import Client, Settings
from homeport.net.credentials import Provider, no_credentials
from homeport.net.retries import Retrier
from homeport.progress import CancelToken


class FakeClock:
    """Time that passes only when somebody waits. ``waits`` lists what was slept."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def wait(self, seconds: float, cancel: CancelToken) -> None:
        cancel.check()
        self.waits.append(seconds)
        self.now += seconds


def quick_client(
    *, credentials: Provider = no_credentials, cancel: CancelToken | None = None,
    clock: FakeClock | None = None, **settings: Any,
) -> Client:  # fmt: skip
    """A client that gives up on silence after 0.3 s and never sleeps between tries."""
    clock = clock or FakeClock()
    limits: dict[str, Any] = {"connect_timeout": 1.0, "stall": 0.3, **settings}
    return Client(
        Settings(**limits),
        credentials=credentials,
        cancel=cancel,
        clock=clock,
        retrier=Retrier(clock, jitter=lambda: 1.0),
    )
