"""The Python API: opens everything that a command needs.

The only composition root. It makes the cache, the HTTP client, the pools, progress and
the cancel token, and passes the members that a function needs, never itself.

    from homeport.app import Settings, open_app
    from homeport.building.rebuild import RebuildResult
    from homeport.building.request import BuildRequest

    with open_app(Settings.load()) as app:
        result = app.build(BuildRequest(recipe="dockerfile-copy"))
    print(result.built.index.digest)
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from homeport.app.auditing import AuditCommands
from homeport.app.docker_pkg import DockerPkgCommands
from homeport.app.emulation import EmulationCommands
from homeport.app.health import HealthCommands
from homeport.app.releases import ReleaseCommands
from homeport.app.slicing import SlicingCommands
from homeport.content.answer_key import find_answer_key
from homeport.content.files import explained
from homeport.content.store import Pruned, Store
from homeport.content.thread_pools import Pools
from homeport.content.verification import CacheInfo, CacheVerified, verify_cache
from homeport.progress import CancelToken, Progress, Silent
from homeport.runtime import Runtime
from homeport.settings import Settings

__all__ = ["App", "Settings", "open_app"]


class App(
    AuditCommands,
    DockerPkgCommands,
    HealthCommands,
    EmulationCommands,
    ReleaseCommands,
    SlicingCommands,
):
    """A method for each command; closed by leaving the ``with`` block."""

    def cache_info(self) -> CacheInfo:
        """Where the cache is and what it holds."""
        store = self.runtime.store
        return CacheInfo(directory=store.root, bound=self.settings.cache_bound, usage=store.usage())

    def cache_prune(self, bound: int | None = None) -> Pruned:
        """Remove least recently used files until the cache fits ``bound``, or its own bound."""
        return self.runtime.store.prune(self.settings.cache_bound if bound is None else bound)

    def cache_verify(self) -> CacheVerified:
        """Verify the digest of every file of the cache and remove damaged files."""
        return verify_cache(self.runtime.store, self.runtime.progress)


def open_app(
    settings: Settings, progress: Progress | None = None, cancel: CancelToken | None = None
) -> App:
    """Open the application. Nothing is written or connected until something is asked of it."""
    cancel = cancel or CancelToken()
    progress = progress or Silent()
    closing = ExitStack()
    cache_dir = settings.cache_dir or _temporary_cache(closing, progress)
    store = Store(
        cache_dir, lambda: find_answer_key(settings.cache_key_file, cache_dir, os.environ)
    )
    if not store.is_own:
        progress.note(
            "cache",
            f"warning: the cache {store.root} belongs to user {store.owner}: its content is"
            " verified again, its other results are not used",
        )
    app = App(
        settings=settings,
        runtime=Runtime(
            store=store,
            pools=Pools(cancel),
            progress=progress,
            cancel=cancel,
        ),
        closing=closing,
    )
    if settings.catalog:
        from homeport.recipe.catalog import user_catalog  # 30 ms that runs without one save

        closing.enter_context(user_catalog(lambda: app.own_catalog))
    return app


def _temporary_cache(closing: ExitStack, progress: Progress) -> Path:
    """A cache for this run, removed with ``closing``."""
    import tempfile  # 5 ms that users with a home save

    progress.note(
        "cache",
        "warning: no home directory to keep a cache in: it lasts for this run; name one with"
        " HOMEPORT_CACHE_DIR",
    )
    with explained(Path(tempfile.gettempdir())):
        return Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="homeport-cache-")))
