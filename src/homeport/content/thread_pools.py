"""The pools that all parallel work runs on (invariant "One concurrency world").

Coordinators run on the caller's thread and submit leaves to a pool; no task on a pool
waits for another, so neither can starve itself. A leaf may start another one.

Not ``concurrent.futures``: it brings the logging package, 4 ms of every start. Plain locks and
queues, no conditions: an interrupt inside ``Condition.__enter__`` leaves it locked for ever.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar, cast

from homeport.progress import CancelToken

T = TypeVar("T")
#: Transfers of bodies at once: enough to fill a line, few enough for a registry.
NETWORK_WORKERS = 8
#: Requests without a body at once. A push asks for every part: over a line of 40 ms each wave
#: costs as much as 40 ms of computing.
LOOKUP_WORKERS = 24


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Threads(Protocol):
    """Runs calls in other threads: a ``Pool``, or an executor of ``concurrent.futures``."""

    def submit(self, call: Callable[[], object], /) -> object:
        """Run ``call`` later; its result and errors are not reported."""


class Pools:
    """``network`` for transfers, ``lookups`` for requests without a body, ``processor`` for tasks
    that compute."""

    def __init__(
        self, cancel: CancelToken, *, network: int = NETWORK_WORKERS, processor: int | None = None
    ) -> None:
        self.cancel = cancel
        self.network = Pool(network, "network")
        self.lookups = Pool(LOOKUP_WORKERS, "lookup")
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
        for pool in (self.lookups, self.network, self.processor):
            pool.close(drop=error is not None)


class Pool:
    """At most so many threads, each begun when there is more work than threads.

    They are daemons: a pool that is not closed does not keep the process from ending.
    """

    def __init__(self, workers: int, name: str) -> None:
        self.workers = workers
        self._name = name
        self._threads: list[threading.Thread] = []
        self._waiting: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = 0
        self._closed = False

    def submit(self, call: Callable[[], object], /) -> None:
        """Run ``call`` later; it must not raise (``Batch`` ensures that)."""
        with self._lock:
            if self._closed:
                raise RuntimeError(f"the {self._name} pool is closed")
            self._waiting.put(call)
            self._unfinished += 1
            if self._unfinished > len(self._threads) < self.workers:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                thread.start()
                self._threads.append(thread)

    def close(self, *, drop: bool = False) -> None:
        """Wait until everything is done; ``drop`` what has not begun."""
        with self._lock:
            self._closed = True
        if drop:
            with contextlib.suppress(Empty):
                while True:
                    self._waiting.get_nowait()
        self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._waiting.get()) is not None:
            call()
            del call  # free what it references before the next call arrives
            with self._lock:
                self._unfinished -= 1
        # For the next thread. One None for each thread in the list would not be enough: an
        # interrupt inside ``Thread.start`` leaves a thread that runs and is not in the list.
        self._waiting.put(None)


class Batch(Generic[T]):
    """Calls on one pool that succeed or fail together."""

    def __init__(self, pool: Threads) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._started = self._begun = 0
        self._dropped = False
        self._ended: SimpleQueue[tuple[int, T | None, BaseException | None]] = SimpleQueue()

    def start(self, call: Callable[[], T]) -> None:
        """Add a call. From any thread, until ``results`` is called."""
        with self._lock:
            number = self._started
            self._started += 1
        self._pool.submit(partial(self._run, number, call))

    def drop(self) -> None:
        """Do not start the calls that have not begun."""
        with self._lock:
            self._dropped = True

    def results(self) -> list[T]:
        """What the calls returned, in the order in which they were started.

        After the first failure those that have not begun are dropped, those that run are
        waited for, and the failure of the earliest call in order is raised.
        """
        results: dict[int, T] = {}
        errors: dict[int, BaseException] = {}
        while len(results) + len(errors) < (self._begun if errors else self._started):
            number, result, error = self._ended.get()
            if error is None:
                results[number] = cast("T", result)
            else:
                errors[number] = error
                self.drop()
        if errors:
            raise errors.pop(min(errors))
        return [results[number] for number in range(self._started)]

    def _run(self, number: int, call: Callable[[], T]) -> None:
        with self._lock:
            if self._dropped:
                return
            self._begun += 1
        try:
            self._ended.put((number, call(), None))
        except BaseException as error:  # ``results`` raises it again
            self._ended.put((number, None, error))


def run_all(pool: Threads, calls: Iterable[Callable[[], T]]) -> list[T]:
    """Run every call on ``pool`` and return their results in order, as ``Batch`` does."""
    batch: Batch[T] = Batch(pool)
    try:
        for call in calls:
            batch.start(call)
        return batch.results()
    except BaseException:
        batch.drop()  # also after an interrupt
        raise
