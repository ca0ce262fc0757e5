"""The one door between Homeport's blocking world and asyncio: run this, and wait.

``wait_for`` runs a coroutine on a fresh event loop in the caller's thread. When the cancel
token is set or the caller is interrupted, the coroutine is cancelled and its ``finally``
blocks run, so that the engine hears of it; then ``Interrupted`` is raised.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from homeport.errors import Interrupted
from homeport.progress import CancelToken

T = TypeVar("T")
_LOOK = 0.05  # seconds between looks at the token


def wait_for(work: Coroutine[Any, Any, T], cancel: CancelToken | None = None) -> T:
    """The coroutine's result. Raises what it raises, and ``Interrupted``."""
    # grpclib logs handlers' errors with tracebacks; users get ours instead.
    logging.getLogger("grpclib").setLevel(logging.CRITICAL)
    with asyncio.Runner() as runner:
        return runner.run(_watched(work, cancel or CancelToken()))


async def _watched(work: Coroutine[Any, Any, T], cancel: CancelToken) -> T:
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if cancel.cancelled:
                raise Interrupted
            await asyncio.wait((task,), timeout=_LOOK)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
