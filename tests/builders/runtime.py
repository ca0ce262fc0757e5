"""A ``Runtime`` for tests: ``runtime()``, with a store and pools of its own."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.progress import CancelToken, Progress, Silent
from homeport.runtime import Runtime


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed when the tests end."""
    return tempfile.TemporaryDirectory(prefix="homeport-tests-")


def runtime(
    store: Store | None = None,
    *,
    pools: Pools | None = None,
    progress: Progress | None = None,
    cancel: CancelToken | None = None,
) -> Runtime:
    cancel = cancel or (pools.cancel if pools else CancelToken())
    return Runtime(
        store=store or Store(Path(tempfile.mkdtemp(dir=_folder().name))),
        pools=pools or Pools(cancel, network=2, processor=2),
        progress=progress or Silent(),
        cancel=cancel,
    )
