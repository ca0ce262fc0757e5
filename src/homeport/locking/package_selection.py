"""Selecting the packages of one platform, before any of them is read.

The dependencies of whole packages are followed; for sliced ones, only the needs of the
slices. A package that the recipe slices by name stays sliced even if a whole package
depends on it; one that only another slice needs becomes whole then.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

import msgspec

from homeport.debian.archive.keyring import DEBIAN, DEBIAN_SECURITY
from homeport.debian.package import Package, PackageIndex
from homeport.debian.resolution.archive_order import ArchiveOrder
from homeport.debian.resolution.candidates import SharedFinders
from homeport.debian.resolution.explain import NoSolution
from homeport.debian.resolution.requirements import Limit, ResolveRequest, Root
from homeport.debian.resolution.resolve import LeftOut, Resolution, resolve
from homeport.errors import Faults
from homeport.oci.platform import Platform
from homeport.recipe.entries import PackageChoice, Pin
from homeport.recipe.local_packages import LOCAL
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice, SliceName
from homeport.recipe.text_files import BadRecipe


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one platform.

    packages: sorted by name
    slices:   package → its slices; a package without an entry is whole
    declared: names that the declared dependencies of sliced packages would have added
    """

    platform: Platform
    packages: tuple[Package, ...]
    slices: Mapping[str, tuple[Slice, ...]]
    left_out: tuple[LeftOut, ...]
    declared: tuple[str, ...]
    resolution: Resolution

    @property
    def architecture(self) -> str:
        return self.resolution.architecture


class SelectionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The request for one platform.

    reached: slices that the recipe names or that others need
    keep:    package → version to prefer while it fits
    on_request: (archive, suite) whose packages are used only when named
    system: packages of the recipe's variant
    """

    recipe: Recipe
    platform: Platform
    index: PackageIndex
    reached: Mapping[SliceName, Slice]
    keep: Mapping[str, str]
    on_request: frozenset[tuple[str, str]]
    system: tuple[str, ...] = ()
    finders: SharedFinders | None = None

    @property
    def whole(self) -> frozenset[str]:
        """Packages that the recipe takes whole."""
        chosen = frozenset(choice.name for choice in self._choices if choice.whole)
        return chosen | frozenset(self.system).difference(self.named, self.recipe.without)

    @property
    def named(self) -> frozenset[str]:
        """Packages of which the recipe itself names slices."""
        return frozenset(choice.name for choice in self._choices if not choice.whole)

    @property
    def _choices(self) -> list[PackageChoice]:
        return [c for c in self.recipe.packages if c.applies_to(self.platform)]

    def resolve(self, whole: Collection[str], sliced: Collection[str]) -> Resolution | NoSolution:
        """Resolve, following what ``whole`` packages depend on but not what ``sliced`` do."""
        request = self.for_resolver(whole, sliced)
        return resolve(self.index, debian_architecture(self.platform), request, self.finders)

    def for_resolver(self, whole: Collection[str], sliced: Collection[str]) -> ResolveRequest:
        """The request with the recipe's limits, for packages of these names."""
        recipe, platform = self.recipe, self.platform
        limits: dict[str, list[Limit]] = {}
        for choice in self._choices:
            if choice.version or choice.suite:
                limit = Limit(version=choice.version, suite=choice.suite)
                limits.setdefault(choice.name, []).append(limit)
        names = sorted({*whole, *sliced})
        return ResolveRequest(
            roots=tuple(
                Root(name=name, limit=limit, follow=name in whole)
                for name in names
                for limit in limits.get(name, [Limit()])
            ),
            pins={
                pin.name: Limit(version=pin.version, suite=pin.suite)
                for pin in recipe.pins
                if pin.applies_to(platform)
            },
            without=frozenset(recipe.without).difference(names),
            keep=self.keep,
            not_automatic=self.on_request,
            archives=archive_order(recipe),
        )


def archive_order(recipe: Recipe) -> ArchiveOrder:
    """The archives in the recipe's order, Debian's main and security archive as one."""
    ranks = {archive.name: rank for rank, archive in enumerate(recipe.archives)}
    if recipe.local_packages is not None:
        ranks[LOCAL] = -1
    debian = [ranks[name] for name in (DEBIAN, DEBIAN_SECURITY) if name in ranks]
    return ArchiveOrder(
        ranks={
            name: min(debian) if name in (DEBIAN, DEBIAN_SECURITY) else rank
            for name, rank in ranks.items()
        },
        overrides={archive.name: frozenset(archive.packages) for archive in recipe.archives},
    )


def check_suites(recipe: Recipe) -> None:
    """Raise ``Faults`` for packages and pins of suites that no archive of the recipe has."""
    known = [suite for archive in recipe.archives for suite in archive.suites]
    faults = []
    entries: tuple[PackageChoice | Pin, ...] = (*recipe.packages, *recipe.pins)
    for entry in entries:
        if entry.suite is None or entry.suite in known:
            continue
        near = difflib.get_close_matches(entry.suite, known, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        faults.append(
            BadRecipe(
                f"{entry.name} needs the suite {entry.suite}, which no archive of the recipe has",
                where=entry.place.where(),
                hint=f"{meant}the recipe has the suites {', '.join(known)}",
            )
        )
    if faults:
        raise Faults(faults, what=f"{recipe.name} names suites that its archives do not have")


def select_packages(request: SelectionRequest) -> Selection | NoSolution:
    """Choose the packages of one platform."""
    sliced = _by_package(request.reached)
    whole = request.whole
    first: Resolution | NoSolution | None = None
    asked: Collection[str] = ()
    if whole:
        named = request.named
        asked = named & sliced.keys()
        first = request.resolve(whole, asked)
        if isinstance(first, NoSolution):
            return first
        wanted = {chosen.package.name for chosen in first.packages} - named
        sliced = {name: slices for name, slices in sliced.items() if name not in wanted}
    # Mostly no slice came or went, and the answer is known.
    same = first is not None and asked == sliced.keys()
    found = first if first is not None and same else request.resolve(whole, sliced.keys())
    if isinstance(found, NoSolution):
        return found
    packages = tuple(chosen.package for chosen in found.packages)
    return Selection(
        platform=request.platform,
        packages=packages,
        slices={
            package.name: sliced[package.name] for package in packages if package.name in sliced
        },
        left_out=found.left_out,
        declared=_declared(request, sliced.keys(), packages),
        resolution=found,
    )


def _by_package(reached: Mapping[SliceName, Slice]) -> dict[str, tuple[Slice, ...]]:
    found: dict[str, list[Slice]] = {}
    for name, slice in sorted(reached.items()):
        found.setdefault(name.package, []).append(slice)
    return {package: tuple(slices) for package, slices in found.items()}


def _declared(
    request: SelectionRequest, sliced: Collection[str], packages: tuple[Package, ...]
) -> tuple[str, ...]:
    """The packages that the sliced packages' declared dependencies would have added."""
    if not sliced:
        return ()
    full = request.resolve({*request.whole, *sliced}, ())
    if isinstance(full, NoSolution):
        return ()  # only a remark of the report; the image does not need it
    have = {package.name for package in packages}
    return tuple(chosen.package.name for chosen in full.packages if chosen.package.name not in have)
