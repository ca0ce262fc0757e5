"""What every long piece of work needs: a store, threads, progress, and a way to stop.

One value, made by ``homeport.app`` and handed down unchanged. It says nothing about what
is done: recipes, addresses and credentials are parameters of the functions that take them.
"""

from __future__ import annotations

import msgspec

from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.progress import CancelToken, Progress


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """The means of one run.

    store:    the cache: downloads, and what was computed from them
    pools:    threads for tasks that wait and for tasks that compute
    progress: is told what is going on
    cancel:   is checked at every read and write
    """

    store: Store
    pools: Pools
    progress: Progress
    cancel: CancelToken
