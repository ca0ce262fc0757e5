"""Fetching locked packages, from wherever they still are.

The cache, then every mirror of the archive, then the archive as it was at the date of the
lockfile (a snapshot archive): what a package must be is known by its digest, so it does
not matter who has it. What nobody has is ``Gone``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from homeport.content.blob import Blob
from homeport.content.pools import run_all
from homeport.debian.collect import NotCached
from homeport.debian.mirror import TROUBLE, Mirror, NotThere, Wanted
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError
from homeport.locking.reach import Reach
from homeport.oci.platform import Platform
from homeport.recipe.lockfile import Lockfile, files_of


class Gone(HomeportError):
    """Locked packages that nobody has any more; ``files`` are they."""

    id = "package-gone"

    def __init__(self, files: tuple[PackageFile, ...]) -> None:
        names = ", ".join(f"{file.id.name} {file.id.version}" for file in files[:3])
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        super().__init__(
            f"no mirror and no snapshot archive has {names}{more}",
            hint="homeport lock --update takes what there is now",
        )
        self.files = files


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    file: PackageFile
    error: HomeportError


def fetch_packages(
    files: Iterable[PackageFile],
    reach: Reach,
    dates: Mapping[str, datetime] | None = None,
) -> dict[PackageFile, Blob]:
    """Every file, verified and in the store. Raises ``Gone``, ``NetError``, ``NotCached`` …

    dates: archive → the date of its locked state, for snapshot archives
    """
    wanted = list(dict.fromkeys(files))
    calls = [partial(_fetch, file, reach, (dates or {}).get(file.archive)) for file in wanted]
    found = run_all(reach.pools.network, calls)
    missing = [answer for answer in found if isinstance(answer, _Missing)]
    for answer in missing:
        if not isinstance(answer.error, NotThere):
            raise answer.error  # whoever does not answer may have it
    if missing:
        raise Gone(tuple(answer.file for answer in missing))
    return {
        file: blob
        for file, blob in zip(wanted, found, strict=True)
        if not isinstance(blob, _Missing)
    }


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], reach: Reach
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, wherever they still are. Raises ``Gone``."""
    dates: dict[str, datetime] = {}
    for suite in lockfile.archives:
        dates[suite.archive] = max(suite.date, dates.get(suite.archive, suite.date))
    return fetch_packages(files_of(lockfile, platforms), reach, dates)


def _fetch(file: PackageFile, reach: Reach, date: datetime | None) -> Blob | _Missing:
    found = reach.transfer.store.get(file.sha256, file.size)
    if found is not None:
        return found
    if reach.offline:
        raise NotCached(f"{file.id} is not in the cache", hint="run it once without --offline")
    wanted = Wanted(path=file.path, digest=file.sha256, size=file.size, label=file.id.name)
    trouble: list[HomeportError] = []
    for mirror in _places(file, reach, date):
        reach.transfer.cancel.check()
        try:
            return mirror.fetch(wanted, reach.transfer)
        except TROUBLE as error:
            trouble.append(error)
    # A mirror that says "not here" is sure of it; one that fails in another way is not.
    unsure = [error for error in trouble if not isinstance(error, NotThere)]
    nobody = NotThere(f"no mirror of {file.archive} is known")
    first = (unsure or trouble or [nobody])[0]
    return _Missing(file=file, error=first.at(package=file.id.name))


def _places(file: PackageFile, reach: Reach, date: datetime | None) -> Iterator[Mirror]:
    yield from reach.mirrors.of(file.archive)
    if date is not None:
        yield from reach.mirrors.snapshots_of(file.archive, date)
