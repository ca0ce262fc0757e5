"""Fetching the packages of a recipe; ``debian.archive.package_fetch`` has the details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial

from homeport.content.blob import Blob
from homeport.content.thread_pools import Batch
from homeport.debian.archive import package_fetch
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.package import PackageFile
from homeport.locking.archive_access import ArchiveAccess
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import Lockfile, files_of


def fetch_packages(
    files: Iterable[PackageFile],
    dates: Mapping[tuple[str, str], datetime],
    access: ArchiveAccess,
    on_found: package_fetch.OnFound | None = None,
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
        on_found=on_found,
    )


def read_packages(
    wanted: Iterable[tuple[PackageFile, PathGlobs]],
    dates: Mapping[tuple[str, str], datetime],
    access: ArchiveAccess,
) -> dict[tuple[PackageFile, PathGlobs], PackageContents]:
    """Fetch packages and read them, with the content of the paths that the globs match.

    What this run read before is not fetched again. Raises what ``fetch_packages`` does, and
    ``BadDeb``.
    """
    opened, runtime = access.opened, access.runtime
    asked = list(dict.fromkeys(wanted))
    known = {key: found for key in asked if opened and (found := opened.contents(*key))}
    missing = [key for key in asked if key not in known]
    globs_of: dict[PackageFile, list[PathGlobs]] = {}
    for file, globs in missing:
        globs_of.setdefault(file, []).append(globs)
    reading: Batch[tuple[tuple[PackageFile, PathGlobs], PackageContents]] = Batch(
        runtime.pools.processor
    )

    def read_one(
        file: PackageFile, globs: PathGlobs, deb: Blob
    ) -> tuple[tuple[PackageFile, PathGlobs], PackageContents]:
        store, cancel = runtime.store, runtime.cancel
        return (file, globs), read_contents(deb, globs, store, expected=file.id, cancel=cancel)

    def on_found(file: PackageFile, deb: Blob) -> None:
        for globs in globs_of[file]:
            reading.start(partial(read_one, file, globs, deb))

    try:
        fetch_packages(globs_of, dates, access, on_found)
        read = dict(reading.results())
    except BaseException:
        reading.drop()
        raise
    if opened is not None:
        for key, contents in read.items():
            opened.keep(*key, contents)
    return {key: known[key] if key in known else read[key] for key in asked}


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], access: ArchiveAccess
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, from any location that has them. Raises ``PackageGone`` …"""
    return fetch_packages(files_of(lockfile, platforms), lockfile.suite_dates(), access)
