"""Packages as they are locked or installed, compared with the archive's newest.

By the rules of locking: the recipe's pins, versions and suites, the order of archives, suites
that give only what is asked of them. No resolving and no download: a look into the index for
each name. What only resolving shows (new dependencies) is ``freshness.effective``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from homeport.debian.archive.keyring import DEBIAN_SECURITY
from homeport.debian.index.index import MergedIndex
from homeport.debian.package import Package
from homeport.debian.resolution.candidates import CandidateFinder
from homeport.debian.resolution.requirements import ResolveRequest
from homeport.debian.version import parse_version
from homeport.freshness.model import Change, Kind
from homeport.freshness.suites import SuiteView
from homeport.locking.package_selection import SelectionRequest
from homeport.oci.platform import Platform
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture


class Present(Protocol):
    """A package of a lockfile or of an image's package database."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def source_name(self) -> str: ...
    @property
    def source_version(self) -> str: ...


class Newer(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive has of one package on one platform, if it differs.

    package: the archive's; ``None``: none
    index:   where it was found, and other packages of its source are
    """

    kind: Kind
    present: Present
    package: Package | None
    index: MergedIndex
    note: str = ""


class Indexes:
    """The merged index of each architecture and set of suites, and finders over them."""

    def __init__(self) -> None:
        self._merged: dict[object, MergedIndex] = {}
        self._finders: dict[object, CandidateFinder] = {}

    def merged(self, views: Sequence[SuiteView], architecture: str) -> MergedIndex:
        parts = [part for view in views for part in view.parts.get(architecture, ())]
        key = (architecture, tuple((p.archive, p.suite, id(p.packed)) for p in parts))
        found = self._merged.get(key)
        if found is None:
            found = self._merged[key] = MergedIndex(architecture, parts)
        return found

    def finder(self, index: MergedIndex, request: ResolveRequest, key: object) -> CandidateFinder:
        """A finder; recipes with the same rules share one, and what it has found."""
        whole_key = (id(index), key)
        found = self._finders.get(whole_key)
        if found is None:
            found = CandidateFinder(index, index.architecture, request)
            self._finders[whole_key] = found
        return found


def compare(
    present: Iterable[Present],
    recipe: Recipe,
    platform: Platform,
    views: Sequence[SuiteView],
    indexes: Indexes,
    *,
    hashes: Mapping[str, str] | None = None,
) -> list[Newer]:
    """What differs from the archive on one platform.

    hashes: package → sha256 of the locked file
    """
    index = indexes.merged(views, debian_architecture(platform))
    limited, free = _finders(recipe, platform, views, index, indexes)
    found: list[Newer] = []
    for package in present:
        found += _compare(package, index, limited, free, (hashes or {}).get(package.name, ""))
    return found


def _finders(
    recipe: Recipe,
    platform: Platform,
    views: Sequence[SuiteView],
    index: MergedIndex,
    indexes: Indexes,
) -> tuple[CandidateFinder, CandidateFinder]:
    """One that keeps to what the recipe says of versions, and one that does not."""
    on_request = frozenset(
        (view.spec.archive, view.spec.suite)
        for view in views
        if view.newest is not None and view.newest.release.not_automatic
    )
    asked = SelectionRequest(
        recipe=recipe, platform=platform, index=index, reached={}, keep={}, on_request=on_request
    )
    names = sorted({choice.name for choice in recipe.packages if choice.applies_to(platform)})
    request = asked.for_resolver(names, ())
    roots = tuple(root for root in request.roots if root.limit.version or root.limit.suite)
    request = msgspec.structs.replace(request, roots=roots, without=frozenset())
    without_limits = msgspec.structs.replace(
        request,
        roots=tuple(root for root in roots if root.limit.suite and not root.limit.version),
        pins={name: pin for name, pin in request.pins.items() if pin.suite and not pin.version},
    )
    return (
        indexes.finder(index, request, _rules(request)),
        indexes.finder(index, without_limits, _rules(without_limits)),
    )


def _rules(request: ResolveRequest) -> object:
    order = request.archives
    return (
        request.roots,
        tuple(sorted(request.pins.items(), key=lambda item: item[0])),
        request.not_automatic,
        tuple(sorted(order.ranks.items())),
        tuple(sorted((name, tuple(sorted(p))) for name, p in order.overrides.items())),
    )


def _compare(
    present: Present,
    index: MergedIndex,
    limited: CandidateFinder,
    free: CandidateFinder,
    digest: str,
) -> list[Newer]:
    old = parse_version(present.version)
    best = next(iter(limited.named(present.name)), None)
    anything = next(iter(free.named(present.name)), None)
    found: list[Newer] = []
    if (
        anything is not None
        and anything.version > old
        and (best is None or best.version < anything.version)
    ):
        found.append(
            Newer(
                kind="held",
                present=present,
                package=anything,
                index=index,
                note="the recipe holds it back",
            )
        )
    if best is None:
        if not found:
            found.append(
                Newer(
                    kind="gone",
                    present=present,
                    package=None,
                    index=index,
                    note=_instead(present, index),
                )
            )
        return found
    if best.version > old:
        same = best.source_version == present.source_version
        kind: Kind = "rebuild" if same else "security" if of_security_team(best) else "update"
        found.append(Newer(kind=kind, present=present, package=best, index=index))
    elif best.version < old:
        note = "its update was withdrawn, or this mirror is rolled back"
        found.append(Newer(kind="lower", present=present, package=best, index=index, note=note))
    elif digest and best.file.id.version == present.version and best.file.sha256.hex != digest:
        copies = [p for p in index.named(present.name) if p.file.id.version == present.version]
        if not any(p.file.sha256.hex == digest for p in copies):
            note = "the same version with other bytes: an archive never does that"
            found.append(
                Newer(kind="other-copy", present=present, package=best, index=index, note=note)
            )
    return found


def of_security_team(package: Package) -> bool:
    """Whether it comes from where Debian's security team publishes."""
    return package.suite.endswith("-security") or package.file.archive == DEBIAN_SECURITY


def _instead(present: Present, index: MergedIndex) -> str:
    if index.named(present.name):
        return "no version is allowed by the recipe"
    others = sorted({package.name for package in index.providers(present.name)})
    return f"{', '.join(others[:3])} provides it now" if others else ""


def grouped(found: Mapping[str, Sequence[Newer]], part: str = "") -> list[tuple[Change, Newer]]:
    """Equal findings of several platforms as one, sorted by name, each with its first."""
    changes: dict[tuple[object, ...], tuple[Newer, list[str]]] = {}
    for platform, newer in found.items():
        for each in newer:
            package = each.package
            version = package.file.id.version if package else None
            key = (
                each.present.name, each.kind, each.present.version, version,
                package.suite if package else "", each.note,
            )  # fmt: skip
            changes.setdefault(key, (each, []))[1].append(platform)
    return [
        (
            Change(
                kind=each.kind,
                name=each.present.name,
                source=each.package.source_name if each.package else each.present.source_name,
                old=each.present.version,
                new=each.package.file.id.version if each.package else None,
                suite=each.package.suite if each.package else "",
                platforms=tuple(platforms),
                note=each.note,
                part=part,
                security=each.kind in ("security", "held")
                and each.package is not None
                and of_security_team(each.package),
            ),
            each,
        )
        for _, (each, platforms) in sorted(
            changes.items(), key=lambda item: tuple(map(str, item[0]))
        )
    ]
