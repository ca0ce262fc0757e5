"""The front door: opens everything a command needs, and the Python API.

The only composition root. It makes the cache, the HTTP client, the pools, progress and
the cancel token, and hands on the members that a function needs, never itself.

    with homeport.app.open_app(Settings.load()) as app:
        built = app.build("dockerfile-copy", outputs=["oci:out"])
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from homeport.content.pools import Pools
from homeport.content.store import Store
from homeport.progress import CancelToken, Progress, Silent
from homeport.settings import Settings

if TYPE_CHECKING:
    from homeport.net.client import Client

__all__ = ["App", "Settings", "open_app"]


@dataclass
class App:
    """What is open while a command runs; closed by leaving the ``with`` block."""

    settings: Settings
    progress: Progress
    cancel: CancelToken
    store: Store
    pools: Pools
    _client: Client | None = None

    @cached_property
    def client(self) -> Client:
        """The one HTTP client, made when first needed."""
        from homeport.net.client import Client
        from homeport.net.client import Settings as NetSettings
        from homeport.net.proxies import from_environment
        from homeport.net.trust import Trust

        trust = Trust(ca_files=(self.settings.ca,) if self.settings.ca else ())
        settings = NetSettings(proxies=from_environment(os.environ), trust=trust)
        self._client = Client(settings, cancel=self.cancel)
        return self._client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None and error is not None:
            self._client.abort()
        self.pools.__exit__(kind, error, traceback)
        if self._client is not None:
            self._client.close()


def open_app(
    settings: Settings, progress: Progress | None = None, cancel: CancelToken | None = None
) -> App:
    """Open the application. Nothing is written or connected until something is asked of it."""
    cancel = cancel or CancelToken()
    return App(
        settings=settings,
        progress=progress or Silent(),
        cancel=cancel,
        store=Store(settings.cache_dir),
        pools=Pools(cancel),
    )
