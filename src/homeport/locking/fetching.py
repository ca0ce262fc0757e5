"""Fetching the packages of a lockfile, and finding out that some are gone.

One package is ``debian.pool``'s affair. Here: all of them, from mirrors first, and the
archives of former states only for what mirrors lack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from homeport.content.blob import Blob
from homeport.content.pools import run_all
from homeport.debian.package import PackageFile
from homeport.debian.pool import PackageGone, fetch_package
from homeport.errors import HomeportError
from homeport.locking.reach import Reach
from homeport.oci.platform import Platform
from homeport.recipe.lockfile import Lockfile, files_of


class Gone(HomeportError):
    """Locked packages that nobody has any more; ``files`` are they."""

    id = "packages-gone"

    def __init__(self, files: tuple[PackageFile, ...]) -> None:
        names = ", ".join(f"{file.id.name} {file.id.version}" for file in files[:3])
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        super().__init__(
            f"no mirror and no snapshot archive has {names}{more}",
            hint="homeport lock --update all takes what there is now",
        )
        self.files = files


def fetch_packages(
    files: Iterable[PackageFile],
    reach: Reach,
    dates: Mapping[str, datetime] | None = None,
) -> dict[PackageFile, Blob]:
    """Every file, verified and in the store. Raises ``Gone``, ``NetError``, ``NotCached`` …

    dates: archive → the date of its locked state, for archives of former states
    """
    wanted = list(dict.fromkeys(files))
    found, gone = _fetch_all(wanted, reach, {})
    if gone and dates:
        # One that is not there either is enough to know: everything is locked again then.
        first, missing = _fetch_all(gone[:1], reach, dates)
        if not missing:
            others, missing = _fetch_all(gone[1:], reach, dates)
            found |= first | others
            gone = missing
    if gone:
        raise Gone(tuple(gone))
    return {file: found[file] for file in wanted}


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], reach: Reach
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, wherever they still are. Raises ``Gone``."""
    dates: dict[str, datetime] = {}
    for suite in lockfile.archives:
        dates[suite.archive] = max(suite.date, dates.get(suite.archive, suite.date))
    return fetch_packages(files_of(lockfile, platforms), reach, dates)


def _fetch_all(
    files: Sequence[PackageFile], reach: Reach, dates: Mapping[str, datetime]
) -> tuple[dict[PackageFile, Blob], list[PackageFile]]:
    """What was found, and what is gone."""
    calls = [partial(_fetch, file, reach, dates.get(file.archive)) for file in files]
    found: dict[PackageFile, Blob] = {}
    gone: list[PackageFile] = []
    for file, answer in zip(files, run_all(reach.pools.network, calls), strict=True):
        if answer is None:
            gone.append(file)
        else:
            found[file] = answer
    return found, gone


def _fetch(file: PackageFile, reach: Reach, date: datetime | None) -> Blob | None:
    reach.transfer.cancel.check()
    try:
        return fetch_package(
            file,
            mirrors=reach.mirrors,
            transfer=reach.transfer,
            date=date,
            offline=reach.offline,
        )
    except PackageGone:
        return None
