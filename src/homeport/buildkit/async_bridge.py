"""Where blocking code runs a coroutine and waits for it; asyncio is used nowhere else.

``run_async`` runs a coroutine on a fresh event loop in the caller's thread. When the cancel
token is set or the caller is interrupted, the coroutine is cancelled and its ``finally``
blocks run, so that the engine is told to stop; then ``Interrupted`` is raised.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from homeport.errors import Interrupted
from homeport.progress import CancelToken

T = TypeVar("T")
_POLL_INTERVAL = 0.05  # seconds between checks of the token
_SHUTDOWN_TIMEOUT = 10.0  # seconds from a signal to the end of the build on our side


def run_async(work: Coroutine[Any, Any, T], cancel: CancelToken | None = None) -> T:
    """The coroutine's result. Raises what it raises, and ``Interrupted``."""
    # grpclib logs handlers' errors with tracebacks; users get ours instead.
    logging.getLogger("grpclib").setLevel(logging.CRITICAL)
    cancel = cancel or CancelToken()
    with _signals_cancel(cancel), asyncio.Runner() as runner:
        return runner.run(_watched(work, cancel))


@contextmanager
def _signals_cancel(cancel: CancelToken) -> Iterator[None]:
    """The first signal sets the token, and does not raise in the middle of the event loop.

    An exception there would end the task that happens to run. A second signal has its former
    effect. It is sent automatically after ``_SHUTDOWN_TIMEOUT``: a thread may hang in a pipe
    without a reader.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    bounds: list[threading.Timer] = []

    def stop(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if cancel.cancelled and callable(handler):
            handler(number, frame)
        cancel.cancel()
        main = threading.main_thread().ident
        assert main is not None
        bound = threading.Timer(_SHUTDOWN_TIMEOUT, signal.pthread_kill, (main, number))
        bound.daemon = True
        bounds.append(bound)
        bound.start()

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for bound in bounds:
            bound.cancel()
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


async def _watched(work: Coroutine[Any, Any, T], cancel: CancelToken) -> T:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if cancel.cancelled:
                raise Interrupted
            await asyncio.wait((task,), timeout=_POLL_INTERVAL)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
