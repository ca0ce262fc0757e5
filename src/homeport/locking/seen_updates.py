"""What the cache knows of a lockfile's age: when its suites were last read, and what is newer.

For the line of a build, which never asks a mirror: one platform, versions alone, no resolving.
``homeport outdated`` gives the whole answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.debian.archive.seen_indexes import SeenSuite, open_seen, seen_suite
from homeport.debian.index.index import IndexPart, MergedIndex
from homeport.debian.version import parse_version
from homeport.oci.platform import native_platform
from homeport.recipe.lock.model import LockedPackage, LockedSuite, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture

_NAMESPACE = "seen-updates"
#: Archives whose packages update each other's.
_DEBIAN = frozenset(("debian", "debian-security"))


class SeenUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """What is known without asking.

    checked: when all suites of the lockfile had been read; ``None``: never, on this machine
    newer:   packages of which a newer version was seen; ``None``: not known
    """

    checked: datetime | None = None
    newer: int | None = None


def seen_updates(lockfile: Lockfile, digest: Digest, recipe: Recipe, store: Store) -> SeenUpdates:
    """Look into the cache; ``digest`` is that of the lockfile."""
    seen: dict[LockedSuite, SeenSuite] = {}
    for suite in lockfile.archives:
        found = seen_suite(store, suite.archive, suite.suite, suite.signers)
        if found is None:
            return SeenUpdates()
        seen[suite] = found
    checked = min(found.checked for found in seen.values())
    if all(found.date <= suite.date for suite, found in seen.items()):
        return SeenUpdates(checked=checked, newer=0)
    key = f"{digest} {sorted(f'{s.archive} {s.suite} {f.date}' for s, f in seen.items())}"
    known = store.recall(_NAMESPACE, key)
    if known is not None and known.isdigit():
        return SeenUpdates(checked=checked, newer=int(known))
    newer = _count(lockfile, recipe, seen, store)
    if newer is not None:
        store.remember(_NAMESPACE, key, str(newer).encode())
    return SeenUpdates(checked=checked, newer=newer)


def _count(
    lockfile: Lockfile, recipe: Recipe, seen: Mapping[LockedSuite, SeenSuite], store: Store
) -> int | None:
    """Packages of one platform that are newer: this machine's, else the first with indexes."""
    native = native_platform()
    for platform in sorted(lockfile.platforms, key=lambda each: not each.satisfies(native)):
        architecture = debian_architecture(platform)
        parts: list[IndexPart] = []
        for suite, found in seen.items():
            if found.on_request:
                continue
            opened = open_seen(store, suite.archive, suite.suite, found, architecture)
            if opened is None:
                break
            parts += opened
        else:
            index = MergedIndex(architecture, parts)
            held = {pin.name for pin in recipe.pins}
            held |= {one.name for one in recipe.packages if one.version or one.suite}
            packages = lockfile.platforms[platform]
            return sum(_is_newer(each, index) for each in packages if each.name not in held)
    return None


def _is_newer(locked: LockedPackage, index: MergedIndex) -> bool:
    version = parse_version(locked.version)
    mine = locked.file.archive
    return any(
        package.version > version
        for package in index.named(locked.name)
        if package.file.archive == mine or {package.file.archive, mine} <= _DEBIAN
    )
