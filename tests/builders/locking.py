"""A recipe with an archive of its own, and everything to lock it: for tests of locking.

world = World(tmp_path, [deb("hello", files={"usr/bin/hello": b"x"})])
locked = world.lock("packages: [hello]")
world.publish([...], date=LATER)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from builders.archive import DATE, NOW, Archive, archive, suite
from builders.net import quick_client
from builders.recipe import catalog, recipe, slices
from builders.runtime import runtime
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.debian.archive.mirror import open_mirror
from homeport.debian.archive.mirror_list import Mirrors
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.ensure_lock import EnsuredLock, ensure_lock
from homeport.locking.lock import LockResult, lock
from homeport.locking.lock_paths import LockPaths, lock_paths
from homeport.oci.platform import parse_platform
from homeport.progress import CancelToken, Silent
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.model import Recipe


class Notes(Silent):
    """Progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, id: str, text: str) -> None:
        self.lines.append(text)


class World:
    """An archive called ``test`` with the suite trixie, a recipe beside it, a cache."""

    def __init__(self, root: Path, packages: Iterable[bytes] = (), **state: Any) -> None:
        self.root = root
        self.archive: Archive = archive(root / "mirror", [suite(packages=packages, **state)])
        self.mirrors: list[str] = [self.archive.url]
        self.snapshots: list[str] = []
        self.more: dict[str, str] = {}  # other archives and their mirrors
        self.store = Store(root / "cache")
        self.notes = Notes()
        self.now: datetime = NOW
        self.offline = False
        self.home = root / "recipe"
        self.home.mkdir()
        (self.home / "key.asc").write_bytes(self.archive.certificate)

    def publish(self, packages: Iterable[bytes], *, date: datetime = DATE, **state: Any) -> None:
        """A newer state; the pool keeps what it had."""
        self.archive.publish(suite(packages=packages, date=date, **state))

    def recipe(self, text: str) -> Recipe:
        """A recipe on this archive; os-release is not asked for."""
        archives = (
            "archives: [{name: test, suites: [trixie], mirrors: [./none], keys: [key.asc]}]\n"
        )
        steps = "" if "steps:" in text else "steps: {os_release: false}\n"
        return recipe(self.home, ("" if "archives:" in text else archives) + steps + text)

    def slices(self, package: str, text: str, successor: str = "") -> None:
        slices(self.home, package, text, successor)

    @contextmanager
    def access(self) -> Iterator[ArchiveAccess]:
        cancel = CancelToken()
        opened = tuple(open_mirror(text, None) for text in self.mirrors)
        others = {name: (open_mirror(url, None),) for name, url in self.more.items()}
        mirrors = Mirrors(
            by_archive={} if self.offline else {"test": opened} | others,
            snapshots=() if self.offline else tuple(self.snapshots),
            client=quick_client(cancel=cancel),
        )
        with Pools(cancel, network=2, processor=2) as pools:
            yield ArchiveAccess(
                mirrors=mirrors,
                runtime=runtime(self.store, pools=pools, progress=self.notes),
                offline=self.offline,
                clock=lambda: self.now,
            )

    def lock(self, text: str | Recipe, **options: Any) -> LockResult:
        asked = text if isinstance(text, Recipe) else self.recipe(text)
        with self.access() as access:
            return lock(asked, access, **options)

    def lock_paths(self, asked: Recipe) -> LockPaths:
        return lock_paths(asked, catalog(self.root), self.root)

    def ensure_lock(self, text: str | Recipe, **options: Any) -> EnsuredLock:
        asked = text if isinstance(text, Recipe) else self.recipe(text)
        with self.access() as access:
            return ensure_lock(asked, self.lock_paths(asked), self.store, lambda: access, **options)


def versions(lockfile: Lockfile, platform: str = "linux/amd64") -> dict[str, str]:
    """Package → version, with its slices: ``{"libc6": "2.41 [libs]"}``."""
    return {
        package.name: package.version
        + (f" [{', '.join(package.slices)}]" if package.slices else "")
        for package in lockfile.platforms[parse_platform(platform)]
    }


def faults(call: Callable[[], object]) -> Sequence[str]:
    """What is wrong, each with its platform."""
    from homeport.errors import Faults

    try:
        call()
    except Faults as found:
        return [f"{fault.what} ({fault.where.get('platform')})" for fault in found.faults]
    return []
