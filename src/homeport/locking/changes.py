"""Differences between two lockfiles, as data: for reports, updates and commit messages."""

from __future__ import annotations

import msgspec

from homeport.oci.platform import Platform
from homeport.recipe.lock.model import LockedPackage, Lockfile


class PackageChange(msgspec.Struct, frozen=True, kw_only=True):
    """A package that was added, removed or changed on some platforms.

    old, new: versions; ``None`` where it is absent
    source:   source package of the newer side, the key of security trackers
    slices:   whether other slices are taken
    """

    name: str
    old: str | None
    new: str | None
    source: str
    slices: bool
    platforms: tuple[Platform, ...]

    def __str__(self) -> str:
        where = "" if not self.platforms else f" ({', '.join(map(str, self.platforms))})"
        if self.old is None:
            return f"{self.name} {self.new} added{where}"
        if self.new is None:
            return f"{self.name} {self.old} removed{where}"
        if self.old == self.new:
            what = "slices changed" if self.slices else "file changed"
            return f"{self.name} {self.new}: {what}{where}"
        return f"{self.name} {self.old} → {self.new}{where}"


def package_changes(old: Lockfile | None, new: Lockfile) -> tuple[PackageChange, ...]:
    """The changes from ``old``, sorted by name; equal changes on several platforms are one."""
    found: dict[tuple[str, str | None, str | None, str, bool], list[Platform]] = {}
    before = old.platforms if old else {}
    for platform in sorted({*before, *new.platforms}, key=str):
        one = {package.name: package for package in before.get(platform, ())}
        two = {package.name: package for package in new.platforms.get(platform, ())}
        for name in one.keys() | two.keys():
            if _key(one.get(name)) != _key(two.get(name)):
                change = _change(name, one.get(name), two.get(name))
                found.setdefault(change, []).append(platform)
    return tuple(
        PackageChange(
            name=name, old=gone, new=came, source=source, slices=slices, platforms=tuple(platforms)
        )
        for (name, gone, came, source, slices), platforms in sorted(
            found.items(), key=lambda item: (item[0][0], str(item[1][0]))
        )
    )


def same_content(old: Lockfile, new: Lockfile) -> bool:
    """Whether both put the same files of the same packages into the images."""
    return (
        not package_changes(old, new)
        and old.platforms.keys() == new.platforms.keys()
        and old.slices == new.slices
    )


def _key(package: LockedPackage | None) -> object:
    return package and (package.file.sha256, package.slices)


def _change(
    name: str, one: LockedPackage | None, two: LockedPackage | None
) -> tuple[str, str | None, str | None, str, bool]:
    side = two or one
    assert side is not None
    slices = one is not None and two is not None and one.slices != two.slices
    return (
        name,
        one.version if one else None,
        two.version if two else None,
        side.source_name,
        slices,
    )
