"""What inspection needs of the application."""

from __future__ import annotations

import msgspec

from homeport.content.store import Store
from homeport.content.thread_pools import Threads
from homeport.progress import CancelToken, Progress, Silent


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What inspection needs of the application."""

    store: Store | None
    pool: Threads | None
    cancel: CancelToken
    progress: Progress = msgspec.field(default_factory=Silent)
