"""Fetching the packages of a recipe; ``debian.archive.package_fetch`` has the details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from homeport.content.blob import Blob
from homeport.debian.archive import package_fetch
from homeport.debian.package import PackageFile
from homeport.locking.archive_access import ArchiveAccess
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import Lockfile, files_of


def fetch_packages(
    files: Iterable[PackageFile], dates: Mapping[tuple[str, str], datetime], access: ArchiveAccess
) -> dict[PackageFile, Blob]:
    """Every file, verified and in the store. Raises ``PackageGone``, ``NetError`` …

    dates: (archive, suite) → the date of the state that has them, for archives of former
           states
    """
    newest: dict[str, datetime] = {}
    for (archive, _), date in dates.items():
        newest[archive] = max(date, newest.get(archive, date))
    return package_fetch.fetch_packages(
        files,
        mirrors=access.mirrors,
        runtime=access.runtime,
        dates=newest,
        offline=access.offline,
    )


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], access: ArchiveAccess
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, from any location that has them. Raises ``PackageGone`` …"""
    return fetch_packages(files_of(lockfile, platforms), lockfile.suite_dates(), access)
