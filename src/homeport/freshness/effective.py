"""What an update would change in the image: resolved, fetched, and the files compared.

Answers what the index alone cannot: which dependencies come or go, and whether any file of the
slices differs. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.deb import Entry
from homeport.errors import HomeportError
from homeport.freshness.model import Effective, FileChange
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import read_packages
from homeport.locking.lock import lock
from homeport.locking.package_checks import merged
from homeport.locking.update_policy import UPDATE_ALL
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import LockedPackage, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice, match_slice, wanted_globs

#: Path → what decides the node in the image.
_Files = dict[bytes, tuple[object, ...]]


def effective_changes(recipe: Recipe, previous: Lockfile, access: ArchiveAccess) -> Effective:
    """Lock ``recipe`` anew in memory, and compare; an error is part of the answer."""
    try:
        locked = lock(recipe, access, previous=previous, update=UPDATE_ALL)
        files = file_changes(previous, locked.lockfile, access, usrmerge=recipe.steps.usrmerge)
    except HomeportError as error:
        faults = getattr(error, "faults", ())
        why = "; ".join(fault.what for fault in faults[:3]) or error.what
        return Effective(error=why)
    return Effective(changes=tuple(map(str, locked.changes)), files=files)


def file_changes(
    old: Lockfile, new: Lockfile, access: ArchiveAccess, *, usrmerge: bool
) -> tuple[FileChange, ...]:
    """The files of the image that differ between two lockfiles, without those of the database.

    Raises ``PackageGone`` where the old package is nowhere to be had any more.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for platform in sorted(old.platforms.keys() & new.platforms.keys(), key=str):
        one = {p.name: p for p in old.platforms[platform]}
        two = {p.name: p for p in new.platforms[platform]}
        changed = [n for n in sorted(one.keys() | two.keys()) if _differs(one.get(n), two.get(n))]
        before = _files({n: one[n] for n in changed if n in one}, old, platform, access, usrmerge)
        after = _files({n: two[n] for n in changed if n in two}, new, platform, access, usrmerge)
        for name in changed:
            for path, how in _compared(before.get(name, {}), after.get(name, {})):
                key = (path.decode("utf-8", "replace"), name, how)
                found.setdefault(key, []).append(str(platform))
    return tuple(
        FileChange(path=f"/{path}", package=package, how=how, platforms=tuple(platforms))
        for (path, package, how), platforms in sorted(found.items())
    )


def _differs(one: LockedPackage | None, two: LockedPackage | None) -> bool:
    return (one and (one.file.sha256, one.slices)) != (two and (two.file.sha256, two.slices))


def _compared(before: _Files, after: _Files) -> list[tuple[bytes, str]]:
    found = []
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            found.append((path, "added"))
        elif path not in after:
            found.append((path, "removed"))
        elif before[path] != after[path]:
            found.append((path, "changed"))
    return found


def _files(
    packages: Mapping[str, LockedPackage],
    lockfile: Lockfile,
    platform: Platform,
    access: ArchiveAccess,
    usrmerge: bool,
) -> dict[str, _Files]:
    architecture = debian_architecture(platform)
    slices = {name: lockfile.slices_of(p) for name, p in packages.items()}
    wanted = {
        name: (p.file, wanted_globs(slices[name], architecture)) for name, p in packages.items()
    }
    read = read_packages(wanted.values(), lockfile.suite_dates(), access)
    return {
        name: _files_of(p, slices[name], architecture, read[wanted[name]], usrmerge=usrmerge)
        for name, p in packages.items()
    }


def _files_of(
    package: LockedPackage,
    slices: tuple[Slice, ...],
    architecture: str,
    contents: PackageContents,
    *,
    usrmerge: bool,
) -> _Files:
    names = {merged(path): path for path in contents.entries} if usrmerge else {}
    names |= {path: path for path in contents.entries}
    folders = {name for name, path in names.items() if contents.entries[path].type == "directory"}
    if package.whole:
        taken = set(contents.entries)
    else:
        taken = {
            names[name]
            for slice in slices
            for name in match_slice(slice, architecture, names, folders).paths
        }
    return {
        path: _node(contents.entries[path], contents)
        for path in taken
        if contents.entries[path].type != "directory"
    }


def _node(entry: Entry, contents: PackageContents) -> tuple[object, ...]:
    blob = contents.blobs.get(entry.path)
    digest = blob.digest if blob is not None else None
    return (entry.type, entry.mode, entry.uid, entry.gid, entry.target, digest)
