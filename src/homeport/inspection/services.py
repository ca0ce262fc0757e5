"""What inspection needs of the application."""

from __future__ import annotations

from concurrent.futures import Executor

import msgspec

from homeport.content.store import Store
from homeport.progress import CancelToken, Progress, Silent


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What inspection needs of the application."""

    store: Store | None
    pool: Executor | None
    cancel: CancelToken
    progress: Progress = msgspec.field(default_factory=Silent)
