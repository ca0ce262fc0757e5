"""Work on the pools: results in order, one failure stops the rest, cancelling is prompt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from homeport.content.thread_pools import Batch, Pool, Pools, run_all
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
        Batch(pools.network).start(work)
        started.wait()
        raise KeyError

    assert ended == [Interrupted]


def test_a_pool_has_at_most_its_number_of_threads() -> None:
    names: set[str] = set()
    with Pools(CancelToken(), processor=3) as pools:
        run_all(pools.processor, [lambda: names.add(threading.current_thread().name)] * 100)
    assert names <= {"processor-0", "processor-1", "processor-2"}


def test_closing_waits_for_what_was_submitted() -> None:
    done: list[int] = []
    pool = Pool(2, "test")
    for number in range(50):
        pool.submit(lambda n=number: done.append(n))
    pool.close()
    assert sorted(done) == list(range(50))
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(lambda: None)


def test_what_has_not_begun_is_dropped_when_a_pool_is_closed_by_an_error() -> None:
    begun, gate = threading.Event(), threading.Event()
    late: list[int] = []

    def first() -> None:
        begun.set()
        gate.wait(30)

    pool = Pool(1, "test")
    pool.submit(first)
    pool.submit(lambda: late.append(1))
    assert begun.wait(30)
    closing = threading.Thread(target=pool.close, kwargs={"drop": True})
    closing.start()
    while not pool._closed:
        time.sleep(0.001)
    gate.set()
    closing.join(30)
    assert late == []


def test_the_failure_of_the_earliest_call_is_raised_once_the_others_that_run_have_ended() -> None:
    both = threading.Barrier(2, timeout=30)
    ended = threading.Event()

    def early() -> None:
        both.wait()
        assert failed.wait(30)
        ended.set()
        raise ValueError("early")

    def late() -> None:
        both.wait()
        failed.set()
        raise KeyError("late")

    failed = threading.Event()
    with Pools(CancelToken(), processor=2) as pools, pytest.raises(ValueError, match="early"):
        run_all(pools.processor, [early, late])
    assert ended.is_set()


def test_a_running_call_may_start_another_of_its_batch_or_of_another_pool() -> None:
    with Pools(CancelToken(), network=1, processor=1) as pools:
        second: Batch[int] = Batch(pools.processor)
        run_all(pools.network, [lambda n=n: second.start(lambda: n * 2) for n in range(4)])
        assert sorted(second.results()) == [0, 2, 4, 6]


def test_no_calls_no_results() -> None:
    with Pools(CancelToken()) as pools:
        assert run_all(pools.network, []) == []


def test_a_pool_that_nobody_closed_does_not_keep_the_process() -> None:
    code = (
        "from homeport.content.thread_pools import *;"
        " run_all(Pool(2, 'x'), [int] * 3); print('end')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_an_interrupt_of_the_waiting_caller_drops_what_has_not_begun() -> None:
    gate = threading.Event()
    late: list[int] = []

    def first() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        gate.wait(30)

    pool = Pool(1, "test")
    with pytest.raises(KeyboardInterrupt):
        run_all(pool, [first, lambda: late.append(1)])
    gate.set()
    pool.close()
    assert late == []


def test_an_interrupt_while_a_thread_starts_does_not_keep_the_pool_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = threading.Thread.start
    gate = threading.Event()

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        if thread.name == "test-1":
            raise KeyboardInterrupt

    pool = Pool(4, "test")
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    pool.submit(lambda: gate.wait(30))
    with pytest.raises(KeyboardInterrupt):
        pool.submit(lambda: None)
    closing = threading.Thread(target=pool.close, kwargs={"drop": True}, daemon=True)
    closing.start()
    time.sleep(0.1)  # the thread that is in no list is idle and sees the end first
    gate.set()
    closing.join(10)
    assert not closing.is_alive()
