"""Fetching packages by their hash, wherever they still are.

Debian deletes old versions from its pool at every point release. A locked package is
looked for on the configured mirrors, then, if it came from the security archive, where the
main archive keeps it after a point release, then in archives of former states. What it
must be is known, so it does not matter who has it. Not for resolving (``debian.resolve``)
nor for opening packages (``debian.deb``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from homeport.content.blob import Blob
from homeport.content.pools import Pools, run_all
from homeport.debian.collect import NotCached
from homeport.debian.keyring import DEBIAN, DEBIAN_SECURITY
from homeport.debian.mirror import TROUBLE, Mirror, NotThere, Transfer, Wanted
from homeport.debian.mirrors import Mirrors
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError

_SECURITY_POOL = "pool/updates/"


class PackageGone(HomeportError):
    """No mirror and no archive of former states has the package any more."""

    id = "package-gone"

    def __init__(self, file: PackageFile, tried: Sequence[str], *, hint: str) -> None:
        super().__init__(
            f"{file.id} is gone from {', '.join(tried) or 'every mirror'}",
            where={"package": str(file.id), "digest": str(file.sha256), "file": file.path},
            hint=hint,
        )
        self.file = file


def fetch_package(
    file: PackageFile,
    *,
    mirrors: Mirrors,
    transfer: Transfer,
    date: datetime | None = None,
    offline: bool = False,
) -> Blob:
    """The package, verified and in the store.

    date: when the archive had it (``ArchiveState.date``), for archives of former states
    Raises ``PackageGone`` only if every mirror answered that it does not have it, else the
    first mirror's ``NetError`` or ``IntegrityError``; ``NotCached`` offline.
    """
    found = transfer.store.get(file.sha256, file.size)
    if found is not None:
        return found
    if offline:
        raise NotCached(
            f"the cache does not have {file.id}",
            where={"package": str(file.id)},
            hint="run it once without --offline",
        )
    trouble: list[HomeportError] = []
    tried: list[str] = []
    for mirror, wanted in _mirrors(file, mirrors):
        try:
            return mirror.fetch(wanted, transfer)
        except TROUBLE as error:
            tried.append(mirror.label)
            trouble.append(error.at(package=str(file.id), mirror=mirror.label))
    unanswered: list[HomeportError] = []
    for mirror in mirrors.snapshots_of(file.archive, date) if date is not None else ():
        try:
            return mirror.fetch(_wanted(file, file.path), transfer)
        except TROUBLE as error:
            tried.append(mirror.label)
            if not isinstance(error, NotThere):
                unanswered.append(error)
    for first in trouble:
        if not isinstance(first, NotThere):
            raise first
    more = "".join(f"; {reason.what}" for reason in unanswered)
    raise PackageGone(
        file, tuple(dict.fromkeys(tried)), hint=f"lock again to take the current version{more}"
    )


def fetch_packages(
    files: Sequence[PackageFile],
    *,
    mirrors: Mirrors,
    transfer: Transfer,
    pools: Pools,
    date: datetime | None = None,
    offline: bool = False,
) -> dict[PackageFile, Blob]:
    """All these packages, several at once; the first failure in their order is raised."""
    wanted = tuple(dict.fromkeys(files))
    fetch = partial(fetch_package, mirrors=mirrors, transfer=transfer, date=date, offline=offline)
    blobs = run_all(pools.network, [partial(fetch, file) for file in wanted])
    return dict(zip(wanted, blobs, strict=True))


def _mirrors(file: PackageFile, mirrors: Mirrors) -> Iterator[tuple[Mirror, Wanted]]:
    for mirror in mirrors.of(file.archive):
        yield mirror, _wanted(file, file.path)
    if file.archive == DEBIAN_SECURITY and file.path.startswith(_SECURITY_POOL):
        # A point release takes security updates over, unchanged.
        moved = f"pool/{file.path.removeprefix(_SECURITY_POOL)}"
        for mirror in mirrors.of(DEBIAN):
            yield mirror, _wanted(file, moved)


def _wanted(file: PackageFile, path: str) -> Wanted:
    return Wanted(path=path, digest=file.sha256, size=file.size, label=str(file.id))
