"""What inspection needs of the application."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field

from homeport.content.store import Store
from homeport.progress import CancelToken, Progress, Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What inspection needs of the application."""

    store: Store | None
    pool: Executor | None
    cancel: CancelToken
    progress: Progress = field(default_factory=Silent)
