"""Work on the pools: results in order, one failure stops the rest, cancelling is prompt."""

from __future__ import annotations

import threading

import pytest

from homeport.content.pools import Pools, run_all
from homeport.errors import Interrupted
from homeport.progress import CancelToken


def test_results_come_in_the_order_of_the_calls() -> None:
    with Pools(CancelToken(), processor=3) as pools:
        assert run_all(pools.processor, [lambda n=n: n * n for n in range(20)]) == [
            n * n for n in range(20)
        ]


def test_the_first_failure_is_raised_and_what_has_not_begun_is_dropped() -> None:
    ran: list[int] = []

    def call(number: int) -> None:
        ran.append(number)
        if number == 1:
            raise ValueError("the second")

    with Pools(CancelToken(), processor=1) as pools, pytest.raises(ValueError, match="second"):
        gate = threading.Event()
        pools.processor.submit(gate.wait)
        threading.Timer(0.05, gate.set).start()
        run_all(pools.processor, [lambda n=n: call(n) for n in range(50)])

    assert 1 in ran


def test_leaving_by_an_error_cancels_running_work() -> None:
    cancel = CancelToken()
    started = threading.Event()
    ended: list[type[BaseException]] = []

    def work() -> None:
        started.set()
        try:
            cancel.wait(30)
        except Interrupted as error:
            ended.append(type(error))
            raise

    with pytest.raises(KeyError), Pools(cancel) as pools:
        pools.network.submit(work)
        started.wait()
        raise KeyError

    assert ended == [Interrupted]
