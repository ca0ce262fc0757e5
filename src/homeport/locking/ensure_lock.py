"""The first step of a build: a lockfile that matches the recipe, and its packages.

An existing lockfile is used as it is, without reading any index. If it is missing,
disagrees with the recipe, or names packages that no mirror has any more, the recipe is
locked again, as a whole and from one state (docs/formats/lockfile.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.files import check_place
from homeport.content.store import Store
from homeport.debian.package import PackageFile
from homeport.errors import OutOfDate
from homeport.locking.lock_paths import LockPaths
from homeport.locking.staleness import stale_reasons
from homeport.locking.update_policy import KEEP_LOCKED, UPDATE_ALL, UpdatePolicy
from homeport.oci.platform import Platform
from homeport.recipe.catalog import lock_command
from homeport.recipe.lock.model import Lockfile, files_of
from homeport.recipe.lock.reading import StoredLock
from homeport.recipe.lock.writing import format_lockfile, write_lockfile
from homeport.recipe.model import Recipe

if TYPE_CHECKING:
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.locking.lock import LockResult

_SHOWN = 5
Reason = Literal["missing", "disagrees", "gone", "update"]


class EnsuredLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lockfile and the packages that it names.

    path:    where the lockfile is
    digest:  of the lockfile's bytes there
    debs:    every package of the platforms that were asked for
    locked:  the report, if the recipe was locked again
    written: whether the lockfile was written: not if locking again gave the same bytes
    reason:  why the recipe was locked again
    details: what disagreed, or which packages are gone
    """

    lockfile: Lockfile
    path: Path
    digest: Digest
    debs: Mapping[PackageFile, Blob]
    locked: LockResult | None = None
    written: bool = False
    reason: Reason | None = None
    details: tuple[str, ...] = ()


def ensure_lock(
    recipe: Recipe,
    paths: LockPaths,
    store: Store,
    access: Callable[[], ArchiveAccess],
    *,
    platforms: Iterable[Platform] | None = None,
    frozen: bool = False,
    update: UpdatePolicy = KEEP_LOCKED,
    as_of: datetime | None = None,
    command: str = "homeport lock",
    tell: bool = True,
) -> EnsuredLock:
    """Fetch the packages of a build, writing a new lockfile if one is needed.

    access:     opens the archives; called only if the cache lacks something
    platforms: whose packages are fetched; all of the recipe's if ``None``. All are always
               locked
    frozen:    raise ``OutOfDate`` instead of locking again (``--locked``)
    tell:      note each change; not for commands whose answer has them
    """
    found = paths.find()
    wanted = tuple(recipe.platforms if platforms is None else platforms)
    previous = found.lockfile if found else None
    update.check(previous, recipe.path)
    update = update.only_packages(previous)
    reason, details = _update_reason(recipe, previous, update, as_of)
    if found and reason is None:
        debs = _in_store(found.lockfile, wanted, store)
        if debs is not None:
            return _as_it_is(found, debs)
        # 450 ms that a build saves whose lockfile and packages are all here (net, OpenPGP).
        from homeport.debian.archive.package_fetch import PackageGone
        from homeport.locking.fetching import fetch_locked

        try:
            return _as_it_is(found, fetch_locked(found.lockfile, wanted, access()))
        except PackageGone as gone:
            reason, update = "gone", UPDATE_ALL
            names = (f"{file.id.name} {file.id.version}" for file in gone.files)
            details = tuple(dict.fromkeys(names))  # once for all platforms
    if frozen:
        raise _refused(recipe, paths, reason, details)
    return _lock_again(
        _Again(recipe=recipe, found=found, reason=reason, details=details, update=update),
        paths,
        access(),
        wanted,
        as_of=as_of,
        command=command,
        tell=tell,
    )


def _as_it_is(found: StoredLock, debs: Mapping[PackageFile, Blob]) -> EnsuredLock:
    return EnsuredLock(lockfile=found.lockfile, path=found.path, digest=found.digest, debs=debs)


class _Again(msgspec.Struct, frozen=True, kw_only=True):
    """Why and how a recipe is locked again."""

    recipe: Recipe
    found: StoredLock | None
    reason: Reason | None
    details: tuple[str, ...]
    update: UpdatePolicy


def _lock_again(
    again: _Again,
    paths: LockPaths,
    access: ArchiveAccess,
    platforms: tuple[Platform, ...],
    *,
    as_of: datetime | None,
    command: str,
    tell: bool,
) -> EnsuredLock:
    # 60 ms that a build saves whose lockfile and packages are all here.
    from homeport.locking.fetching import fetch_locked
    from homeport.locking.lock import lock

    note = access.runtime.progress.note
    note("lock", _reason_text(again.recipe, again.reason, again.details))
    if again.reason == "gone":
        note("lock", f"locking {again.recipe.name} again as a whole")
    if again.found is None:
        check_place(paths.write)
    locked = lock(
        again.recipe,
        access,
        previous=again.found.lockfile if again.found else None,
        update=again.update,
        as_of=as_of,
        command=command,
    )
    digest = Digest.of(format_lockfile(locked.lockfile))
    same = again.found is not None and (again.found.path, again.found.digest) == (
        paths.write, digest,
    )  # fmt: skip
    if same:
        note("lock", f"{paths.write}: nothing changed")
    else:
        write_lockfile(locked.lockfile, paths.write)
        for change in locked.changes if locked.previous and tell else ():
            note("lock", f"  {change}")
        note("lock", _wrote(paths.write, digest, locked))
    return EnsuredLock(
        lockfile=locked.lockfile,
        path=paths.write,
        digest=digest,
        debs=fetch_locked(locked.lockfile, platforms, access),
        locked=locked,
        written=not same,
        reason=again.reason,
        details=again.details,
    )


def _in_store(
    lockfile: Lockfile, platforms: Iterable[Platform], store: Store
) -> dict[PackageFile, Blob] | None:
    """Every package, if the cache has all of them."""
    debs: dict[PackageFile, Blob] = {}
    for file in files_of(lockfile, platforms):
        found = store.get(file.sha256, file.size)
        if found is None:
            return None
        debs[file] = found
    return debs


def _update_reason(
    recipe: Recipe, lockfile: Lockfile | None, update: UpdatePolicy, as_of: datetime | None
) -> tuple[Reason | None, tuple[str, ...]]:
    if lockfile is None:
        return "missing", ()
    if details := stale_reasons(recipe, lockfile):
        return "disagrees", details
    if update != KEEP_LOCKED or (as_of is not None and as_of != lockfile.as_of):
        return "update", ()
    return None, ()


def _reason_text(recipe: Recipe, reason: Reason | None, details: tuple[str, ...]) -> str:
    what = {
        "missing": f"{recipe.name} has no lockfile yet",
        "disagrees": f"the lockfile of {recipe.name} does not match the recipe",
        "gone": f"no mirror has some locked packages of {recipe.name} any more",
        "update": f"{recipe.name}: checking for newer packages",
    }[reason or "missing"]
    more = [f"and {len(details) - _SHOWN} more"] if len(details) > _SHOWN else []
    return what + (f" ({'; '.join([*details[:_SHOWN], *more])})" if details else "")


def _wrote(path: Path, new: Digest, locked: LockResult) -> str:
    if locked.previous is None:
        return f"wrote {path} ({new})"
    return f"wrote {path} ({Digest.of(format_lockfile(locked.previous))} → {new})"


def _refused(
    recipe: Recipe, paths: LockPaths, reason: Reason | None, details: tuple[str, ...]
) -> OutOfDate:
    hint = f"run {lock_command(recipe.path)}, review the changes, and commit the lockfile"
    where = {"file": str(paths.write)}
    return OutOfDate(_reason_text(recipe, reason, details), where=where, hint=hint)
