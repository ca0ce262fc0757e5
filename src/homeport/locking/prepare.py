"""What a build begins with: a lockfile that answers the recipe, and its packages fetched.

The lockfile that is there is used as it is, without looking at any index. Only when it is
missing, disagrees with the recipe, or names packages that nobody has any more, is the
recipe locked again, as a whole and from one state (docs/formats/lockfile.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.debian.package import PackageFile
from homeport.errors import OutOfDate
from homeport.locking.agreement import disagreements
from homeport.locking.fetching import Gone, fetch_packages
from homeport.locking.lock import KEEP, RENEW, Locked, Renewal, lock
from homeport.locking.places import LockPlaces
from homeport.locking.reach import Reach
from homeport.oci.platform import Platform
from homeport.recipe.lockfile import Lockfile
from homeport.recipe.lockwriting import format_lockfile, write_lockfile
from homeport.recipe.model import Recipe

Reason = Literal["missing", "disagrees", "gone", "update"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A lockfile and the packages that it names.

    path:    where the lockfile is
    debs:    every package of the platforms that were asked for
    locked:  the report, if the recipe was locked again
    reason:  why it was
    details: what disagreed, or what is gone
    """

    lockfile: Lockfile
    path: Path
    debs: Mapping[PackageFile, Blob]
    locked: Locked | None = None
    reason: Reason | None = None
    details: tuple[str, ...] = ()


def prepare(
    recipe: Recipe,
    places: LockPlaces,
    reach: Reach,
    *,
    platforms: Iterable[Platform] | None = None,
    frozen: bool = False,
    renewal: Renewal = KEEP,
    as_of: datetime | None = None,
    command: str = "homeport lock",
) -> Prepared:
    """Make ready what a build takes from archives, writing a new lockfile where one is needed.

    platforms: whose packages are fetched; all of the recipe's if ``None``. Locked are
               always all
    frozen:    raise ``OutOfDate`` instead of locking again (``--locked``)
    """
    found = places.find()
    wanted = tuple(recipe.platforms if platforms is None else platforms)
    reason, details = _stale(recipe, found[1] if found else None, renewal, as_of)
    if found and reason is None:
        path, lockfile = found
        try:
            return Prepared(
                lockfile=lockfile, path=path, debs=fetch_locked(lockfile, wanted, reach)
            )
        except Gone as gone:
            reason, renewal = "gone", RENEW
            details = tuple(f"{file.id.name} {file.id.version}" for file in gone.files)
    if frozen:
        raise _refused(recipe, places, reason, details)
    note = reach.transfer.progress.note
    note("lock", _says(recipe, reason, details))
    locked = lock(
        recipe,
        reach,
        previous=found[1] if found else None,
        renewal=renewal,
        as_of=as_of,
        command=command,
    )
    write_lockfile(locked.lockfile, places.write)
    for change in locked.changes if locked.previous else ():
        note("lock", f"  {change}")
    note("lock", _wrote(places.write, locked))
    return Prepared(
        lockfile=locked.lockfile,
        path=places.write,
        debs=fetch_locked(locked.lockfile, wanted, reach),
        locked=locked,
        reason=reason,
        details=details,
    )


def fetch_locked(
    lockfile: Lockfile, platforms: Iterable[Platform], reach: Reach
) -> dict[PackageFile, Blob]:
    """The packages of some platforms, wherever they still are. Raises ``Gone``."""
    files = [
        package.file for platform in platforms for package in lockfile.platforms.get(platform, ())
    ]
    dates: dict[str, datetime] = {}
    for suite in lockfile.archives:
        dates[suite.archive] = max(suite.date, dates.get(suite.archive, suite.date))
    return fetch_packages(files, reach, dates)


def _stale(
    recipe: Recipe, lockfile: Lockfile | None, renewal: Renewal, as_of: datetime | None
) -> tuple[Reason | None, tuple[str, ...]]:
    if lockfile is None:
        return "missing", ()
    if details := disagreements(recipe, lockfile):
        return "disagrees", details
    if renewal != KEEP or (as_of is not None and as_of != lockfile.as_of):
        return "update", ()
    return None, ()


def _says(recipe: Recipe, reason: Reason | None, details: tuple[str, ...]) -> str:
    what = {
        "missing": f"{recipe.name} has no lockfile yet",
        "disagrees": f"{recipe.name} and its lockfile disagree",
        "gone": f"packages of {recipe.name} are gone from all mirrors; locking it again as a whole",
        "update": f"{recipe.name}: looking for newer packages",
    }[reason or "missing"]
    return what + (f" ({'; '.join(details)})" if details else "")


def _wrote(path: Path, locked: Locked) -> str:
    new = Digest.of(format_lockfile(locked.lockfile))
    if locked.previous is None:
        return f"wrote {path} ({new})"
    return f"wrote {path} ({Digest.of(format_lockfile(locked.previous))} → {new})"


def _refused(
    recipe: Recipe, places: LockPlaces, reason: Reason | None, details: tuple[str, ...]
) -> OutOfDate:
    hint = f"run homeport lock for {recipe.path}, look at what changed, and commit it"
    where = {"file": str(places.write)}
    return OutOfDate(_says(recipe, reason, details), where=where, hint=hint)
