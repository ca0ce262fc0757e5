"""The two pools that all parallel work runs on (invariant "One concurrency world").

Coordinators run on the caller's thread and hand leaves to a pool; no task on a pool
waits for another, so neither can starve itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from homeport.progress import CancelToken

T = TypeVar("T")
NETWORK_WORKERS = 8


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pools:
    """``network`` for tasks that wait, ``processor`` for tasks that compute."""

    def __init__(
        self, cancel: CancelToken, *, network: int = NETWORK_WORKERS, processor: int | None = None
    ) -> None:
        self.cancel = cancel
        self.network: Executor = ThreadPoolExecutor(network, "network")
        self.processor: Executor = ThreadPoolExecutor(processor or processors(), "processor")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.cancel.cancel()
        for pool in (self.network, self.processor):
            pool.shutdown(wait=True, cancel_futures=error is not None)


def run_all(pool: Executor, calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run every call on ``pool`` and return their results in order.

    After the first failure the calls that have not begun are dropped, those that run are
    waited for, and the failure of the earliest call in order is raised.
    """
    futures: list[Future[T]] = [pool.submit(call) for call in calls]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = any(f.done() and not f.cancelled() and f.exception() for f in futures)
    except BaseException:
        _drop(futures)
        raise
    if failed:
        _drop(futures)
        wait(futures)
    return list(_results(futures))


def _results(futures: list[Future[T]]) -> Iterator[T]:
    for future in futures:
        if not future.cancelled():
            yield future.result()


def _drop(futures: list[Future[Any]]) -> None:
    for future in futures:
        future.cancel()
