"""A run of ``open_archives`` against little archives, as a test wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from builders.archive import NOW, Archive
from builders.net import quick_client
from homeport.content.blob import Blob
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.debian.archive.archive import open_archives
from homeport.debian.archive.keyring import Keyring, parse_keyring
from homeport.debian.archive.mirror import Mirror, open_mirror
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.package_fetch import fetch_packages
from homeport.debian.archive.state import ArchiveState, SuiteSpec
from homeport.debian.package import PackageFile
from homeport.net.client import Client
from homeport.progress import CancelToken, Silent
from homeport.runtime import Runtime

ALL = ("amd64", "arm64", "armhf")


class Notes(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, id: str, text: str) -> None:
        self.lines.append(text)


@dataclass
class World:
    """One user's machine: a cache, a client, and mirrors named by the test."""

    store: Store
    client: Client
    cancel: CancelToken
    pools: Pools
    notes: Notes = field(default_factory=Notes)

    def close(self) -> None:
        self.client.close()
        self.pools.__exit__(None, None, None)

    @property
    def runtime(self) -> Runtime:
        return Runtime(store=self.store, pools=self.pools, progress=self.notes, cancel=self.cancel)

    def mirrors(self, *places: str, snapshots: Sequence[str] = ()) -> Mirrors:
        opened: tuple[Mirror, ...] = tuple(open_mirror(place, self.client) for place in places)
        return Mirrors(
            by_archive={"debian": opened, "debian-security": opened, "vendor": opened},
            snapshots=tuple(snapshots),
            client=self.client,
        )

    def fetch(self, file: PackageFile, **more: Any) -> Blob:
        """One package; ``mirrors`` and what else ``fetch_packages`` takes."""
        found = fetch_packages([file], runtime=self.runtime, **more)
        return found[file]

    def open(
        self,
        debian: Archive,
        *places: str,
        suites: Sequence[str] = ("trixie",),
        archive: str = "debian",
        architectures: Sequence[str] = ALL,
        keyring: Keyring | None = None,
        components: Sequence[str] = ("main",),
        now: datetime = NOW,
        snapshots: Sequence[str] = (),
        **more: Any,
    ) -> ArchiveState:
        """Open suites of ``debian``, at its directory unless ``places`` name mirrors."""
        ring = keyring or parse_keyring(debian.certificate, "the archive's key")
        return open_archives(
            [
                SuiteSpec(archive=archive, suite=name, keyring=ring, components=tuple(components))
                for name in suites
            ],
            architectures,
            mirrors=self.mirrors(*(places or (debian.url,)), snapshots=snapshots),
            runtime=self.runtime,
            clock=lambda: now,
            **more,
        )


def new_world(cache: Path, **settings: Any) -> World:
    """A machine whose cache lies in ``cache``. Call ``close`` on it in the end."""
    cancel = CancelToken()
    return World(
        store=Store(cache),
        client=quick_client(cancel=cancel, **settings),
        cancel=cancel,
        pools=Pools(cancel),
    )
