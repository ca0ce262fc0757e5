"""The cancel token: seen at once by whoever works or waits, whoever set it."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

import pytest

from homeport.errors import Interrupted
from homeport.progress import CancelToken


def test_a_token_that_is_set_stops_who_looks_and_who_waits() -> None:
    token = CancelToken()
    token.check()
    token.wait(0.0)
    token.wait(-1.0)
    token.cancel()
    token.cancel()
    with pytest.raises(Interrupted):
        token.check()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        token.wait(60)
    assert time.monotonic() - began < 30


def test_all_that_wait_are_woken() -> None:
    token = CancelToken()
    waiting = threading.Barrier(4, timeout=30)
    woken: list[int] = []

    def wait(number: int) -> None:
        waiting.wait()
        with pytest.raises(Interrupted):
            token.wait(60)
        woken.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    waiting.wait()
    token.cancel()
    for thread in threads:
        thread.join(30)
    assert sorted(woken) == [0, 1, 2]


def test_a_signal_may_set_it_wherever_the_wait_is() -> None:
    """An event hung here after some hundred signals: the thread itself held its lock."""
    token = CancelToken()

    def stop(number: int, frame: FrameType | None) -> None:
        token.cancel()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for round in range(500):
            token = CancelToken()
            with pytest.raises((KeyboardInterrupt, Interrupted)):
                signal.setitimer(signal.ITIMER_REAL, 0.00002 + round % 50 / 200_000)
                while True:
                    token.wait(0.00001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
