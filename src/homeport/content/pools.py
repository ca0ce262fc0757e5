"""The two pools that all parallel work runs on (invariant "One concurrency world").

Coordinators run on the caller's thread and hand leaves to a pool; no task on a pool
waits for another, so neither can starve itself. A leaf may start another one.

Not ``concurrent.futures``: it brings the logging package, 4 ms of every start.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from homeport.progress import CancelToken

T = TypeVar("T")
NETWORK_WORKERS = 8


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads(Protocol):
    """What runs calls beside the caller: a ``Pool``, or an executor of Python's own."""

    def submit(self, call: Callable[[], object], /) -> object:
        """Have ``call`` run some time; what comes of it is the call's own affair."""


class Pools:
    """``network`` for tasks that wait, ``processor`` for tasks that compute."""

    def __init__(
        self, cancel: CancelToken, *, network: int = NETWORK_WORKERS, processor: int | None = None
    ) -> None:
        self.cancel = cancel
        self.network = Pool(network, "network")
        self.processor = Pool(processor or processors(), "processor")

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
            pool.close(drop=error is not None)


class Pool:
    """At most so many threads, each begun when there is work that no idle one could take.

    They are daemons: a pool that nobody closes does not keep the process from ending.
    """

    def __init__(self, workers: int, name: str) -> None:
        self._workers = workers
        self._name = name
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], object]] = deque()
        self._idle = 0
        self._closed = False

    def submit(self, call: Callable[[], object], /) -> None:
        """Have ``call`` run; it must not raise (``Batch`` sees to that)."""
        with self._changed:
            if self._closed:
                raise RuntimeError(f"the {self._name} pool is closed")
            self._waiting.append(call)
            if len(self._waiting) <= self._idle:
                self._changed.notify()
            elif len(self._threads) < self._workers:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                thread.start()
                self._threads.append(thread)

    def close(self, *, drop: bool = False) -> None:
        """Wait until everything is done; ``drop`` what has not begun."""
        with self._changed:
            self._closed = True
            if drop:
                self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call()
            del call  # what it holds on to must not live until the next one comes

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return self._waiting.popleft()


class Batch(Generic[T]):
    """Calls on one pool that succeed or fail together."""

    def __init__(self, pool: Threads) -> None:
        self._pool = pool
        self._changed = threading.Condition()
        self._started = self._begun = self._ended = 0
        self._results: dict[int, T] = {}
        self._errors: dict[int, BaseException] = {}
        self._dropped = False

    def start(self, call: Callable[[], T]) -> None:
        """One more call. From any thread, until ``results`` is asked for."""
        with self._changed:
            number = self._started
            self._started += 1
        self._pool.submit(partial(self._run, number, call))

    def drop(self) -> None:
        """What has not begun is not to begin any more."""
        with self._changed:
            self._dropped = True

    def results(self) -> list[T]:
        """What the calls returned, in the order in which they were started.

        After the first failure those that have not begun are dropped, those that run are
        waited for, and the failure of the earliest call in order is raised.
        """
        with self._changed:
            while self._ended < self._started and not self._errors:
                self._changed.wait()
            if self._errors:
                self._dropped = True
            while self._ended < self._begun:
                self._changed.wait()
            if self._errors:
                raise self._errors.pop(min(self._errors))
        return [self._results[number] for number in range(self._started)]

    def _run(self, number: int, call: Callable[[], T]) -> None:
        with self._changed:
            if self._dropped:
                return
            self._begun += 1
        try:
            result = call()
        except BaseException as error:  # it is raised again where the results are
            with self._changed:
                self._errors[number] = error
        else:
            self._results[number] = result
        with self._changed:
            self._ended += 1
            self._changed.notify_all()


def run_all(pool: Threads, calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run every call on ``pool`` and return their results in order, as ``Batch`` does."""
    batch: Batch[T] = Batch(pool)
    try:
        for call in calls:
            batch.start(call)
        return batch.results()
    except BaseException:
        batch.drop()  # an interrupt, wherever it came
        raise
