"""Fetching locked packages, from wherever they still are.

The cache, then every mirror of the archive, then the archive as it was at the date of the
lockfile (a snapshot archive): what a package must be is known by its digest, so it does
not matter who has it. What nobody has is ``Gone``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from homeport.content.blob import Blob
from homeport.content.pools import run_all
from homeport.debian.collect import NotCached
from homeport.debian.mirror import TROUBLE, Mirror, NotThere, Wanted
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.locking.reach import Reach
from homeport.net.errors import NetError
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
    """A file that no mirror gave, and the first thing that went wrong."""

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
    calls = [partial(_from_mirrors, file, reach) for file in wanted]
    answers = run_all(reach.pools.network, calls)
    found = {
        file: blob
        for file, blob in zip(wanted, answers, strict=True)
        if not isinstance(blob, _Missing)
    }
    missing = [answer for answer in answers if isinstance(answer, _Missing)]
    if missing and dates:
        found |= _from_snapshots([answer.file for answer in missing], reach, dates)
        missing = [answer for answer in missing if answer.file not in found]
    for answer in missing:
        if not isinstance(answer.error, NotThere):
            raise answer.error.at(package=answer.file.id.name)
    if missing:
        raise Gone(tuple(answer.file for answer in missing))
    return {file: found[file] for file in wanted}


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], reach: Reach
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, wherever they still are. Raises ``Gone``."""
    dates: dict[str, datetime] = {}
    for suite in lockfile.archives:
        dates[suite.archive] = max(suite.date, dates.get(suite.archive, suite.date))
    return fetch_packages(files_of(lockfile, platforms), reach, dates)


def _from_mirrors(file: PackageFile, reach: Reach) -> Blob | _Missing:
    found = reach.transfer.store.get(file.sha256, file.size)
    if found is not None:
        return found
    if reach.offline:
        raise NotCached(f"{file.id} is not in the cache", hint="run it once without --offline")
    return _ask(file, reach.mirrors.of(file.archive), reach)


def _ask(file: PackageFile, mirrors: Iterable[Mirror], reach: Reach) -> Blob | _Missing:
    """The file from the first mirror that has it whole."""
    wanted = Wanted(path=file.path, digest=file.sha256, size=file.size, label=file.id.name)
    trouble: list[HomeportError] = []
    for mirror in mirrors:
        reach.transfer.cancel.check()
        try:
            return mirror.fetch(wanted, reach.transfer)
        except TROUBLE as error:
            trouble.append(error)
    nobody = NotThere(f"no mirror of {file.archive} is known")
    return _Missing(file=file, error=_telling(trouble) or nobody)


def _telling(trouble: Sequence[HomeportError]) -> HomeportError | None:
    """What to believe when mirrors differ.

    Damage first: it must not look like absence. Then a mirror that works and does not have
    the file; only if there is none, one that does not answer.
    """
    damage = [error for error in trouble if isinstance(error, IntegrityError | TooLarge)]
    absent = [error for error in trouble if isinstance(error, NotThere)]
    return next(iter([*damage, *absent, *trouble]), None)


def _from_snapshots(
    files: Sequence[PackageFile], reach: Reach, dates: Mapping[str, datetime]
) -> dict[PackageFile, Blob]:
    """Those of ``files`` that a snapshot archive still has.

    It is a last chance, not a condition: one that does not answer is asked once only.
    """
    found: dict[PackageFile, Blob] = {}
    first, rest = files[0], files[1:]
    answer = _from_snapshot(first, reach, dates)
    if isinstance(answer, _Missing) and isinstance(answer.error, NetError):
        return found
    calls = [partial(_from_snapshot, file, reach, dates) for file in rest]
    answers = [answer, *run_all(reach.pools.network, calls)]
    for file, blob in zip(files, answers, strict=True):
        if not isinstance(blob, _Missing):
            found[file] = blob
    return found


def _from_snapshot(
    file: PackageFile, reach: Reach, dates: Mapping[str, datetime]
) -> Blob | _Missing:
    date = dates.get(file.archive)
    mirrors = reach.mirrors.snapshots_of(file.archive, date) if date else ()
    return _ask(file, mirrors, reach)
