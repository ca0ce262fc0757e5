"""Selecting and reading packages until nothing is missing that only reading shows.

A package's copyright file may be in another package, and its programs may start those of
Essential packages, on which nothing depends; then that one is selected too, for these alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from homeport.content.store import Store
from homeport.debian.archive.package_fetch import PackageGone
from homeport.debian.archive.state import ArchiveState
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.index.index import MergedIndex
from homeport.debian.index.variants import variant_packages
from homeport.debian.package import Package, PackageFile, PackageIndex
from homeport.debian.resolution.candidates import SharedFinders
from homeport.debian.resolution.explain import NoSolution
from homeport.errors import Faults, HomeportError
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import read_packages
from homeport.locking.implied.implied_packages import (
    ImageContents,
    Implied,
    find_implied,
    implied_slices,
    without_unmatched,
)
from homeport.locking.package_checks import PackageChecks, check_packages
from homeport.locking.package_selection import Selection, SelectionRequest, select_packages
from homeport.oci.platform import Platform
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice, SliceName, copyright_slice, wanted_globs

#: Bound on chains: a copyright file in a package whose copyright file is in another, a script
#: that starts a script of another package.
_MOST_ROUNDS = 8

ReadPackages = dict[tuple[PackageFile, PathGlobs], PackageContents]
Reached = Mapping[Platform, Mapping[SliceName, Slice]]


class CheckedPackages(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one platform, and the result of reading them.

    implied: what is taken of Essential packages because programs of the image start it
    """

    selection: Selection
    checks: PackageChecks
    implied: Implied

    @property
    def packages(self) -> tuple[Package, ...]:
        """Those that put at least one file in the tree."""
        return tuple(p for p in self.selection.packages if p.name in self.checks.kept)


class SelectedPackages(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of every platform, and what is in each, by name.

    implied: definitions of slices made for them
    """

    platforms: Mapping[Platform, CheckedPackages]
    contents: Mapping[Platform, Mapping[str, PackageContents]]
    implied: Mapping[SliceName, Slice]


def select_and_check(
    recipe: Recipe,
    access: ArchiveAccess,
    state: ArchiveState,
    reached: Reached,
    keep: Mapping[Platform, Mapping[str, str]],
) -> SelectedPackages:
    """The packages of every platform. Raises ``Faults`` with every problem.

    reached: slices that the recipe names or that others need
    keep:    package → version to prefer, on each platform
    """
    if recipe.steps.copyright:
        reached = {platform: _with_copyrights(slices) for platform, slices in reached.items()}
    implied = dict.fromkeys(recipe.platforms, Implied())
    read: ReadPackages = {}
    for _ in range(_MOST_ROUNDS):
        wanted = {
            platform: {**slices, **_implied(implied, platform, recipe)}
            for platform, slices in reached.items()
        }
        selections = _select_all(
            recipe,
            state,
            wanted,
            keep,
            implied=implied,
            finders=access.opened.finders if access.opened else None,
        )
        contents = _read_packages(selections, state, access, read)
        checked = {
            platform: check_packages(
                selection,
                contents[platform],
                usrmerge=recipe.steps.usrmerge,
                diversions=recipe.steps.diversions,
            )
            for platform, selection in selections.items()
        }
        missing = (
            _packages_with_copyrights(selections, checked, state) if recipe.steps.copyright else {}
        )
        more = {
            platform: implied[platform].with_more(
                _find_implied(
                    recipe,
                    selection,
                    contents[platform],
                    checked[platform],
                    index=state.indexes[selection.architecture],
                    store=access.runtime.store,
                )
            )
            for platform, selection in selections.items()
        }
        if not missing and more == implied:
            break
        implied = more
        reached = {
            platform: {**slices, **missing.get(platform, {})}
            for platform, slices in reached.items()
        }
    faults = [fault for checks in checked.values() for fault in checks.faults]
    if faults:
        raise Faults(
            _merged_faults(faults), what=f"the packages do not fit the recipe {recipe.name}"
        )
    return SelectedPackages(
        platforms={
            platform: CheckedPackages(
                selection=selection, checks=checked[platform], implied=implied[platform]
            )
            for platform, selection in selections.items()
        },
        contents=contents,
        implied=without_unmatched(implied_slices(implied.values()), contents.values()),
    )


def _find_implied(
    recipe: Recipe,
    selection: Selection,
    contents: Mapping[str, PackageContents],
    checks: PackageChecks,
    *,
    index: PackageIndex,
    store: Store,
) -> Implied:
    image = ImageContents(
        platform=selection.platform,
        packages={each.name: each for each in selection.packages},
        slices=selection.slices,
        contents=contents,
        taken=checks.taken,
    )
    return find_implied(recipe, image, available=lambda name: bool(index.named(name)), store=store)


def _implied(
    implied: Mapping[Platform, Implied], platform: Platform, recipe: Recipe
) -> dict[SliceName, Slice]:
    """The slices of Essential packages that one platform takes."""
    slices = {
        name: slice
        for name, slice in implied_slices(implied.values()).items()
        if name.package in implied[platform].paths
    }
    return _with_copyrights(slices) if recipe.steps.copyright else slices


def _with_copyrights(slices: Mapping[SliceName, Slice]) -> dict[SliceName, Slice]:
    """With the slice ``copyright`` of every package of which another slice is taken."""
    added = [copyright_slice(name.package) for name in slices]
    return {**slices, **{slice.name: slice for slice in added}}


def _select_all(
    recipe: Recipe,
    state: ArchiveState,
    reached: Reached,
    keep: Mapping[Platform, Mapping[str, str]],
    *,
    implied: Mapping[Platform, Implied],
    finders: SharedFinders | None,
) -> dict[Platform, Selection]:
    """The packages of every platform. Raises ``Unresolvable`` naming those that have none."""
    answers = {
        platform: select_packages(
            SelectionRequest(
                recipe=recipe,
                platform=platform,
                index=state.indexes[debian_architecture(platform)],
                reached=reached[platform],
                keep=keep.get(platform, {}),
                on_request=state.on_request,
                system=(
                    *_system(recipe, state.indexes[debian_architecture(platform)]),
                    *implied[platform].whole,
                ),
                finders=finders,
            )
        )
        for platform in recipe.platforms
    }
    failed = {
        platform: answer for platform, answer in answers.items() if isinstance(answer, NoSolution)
    }
    if failed:
        error = next(iter(failed.values())).error()
        raise error.at(platform=", ".join(map(str, failed)), file=str(recipe.path))
    return {
        platform: answer for platform, answer in answers.items() if isinstance(answer, Selection)
    }


def _system(recipe: Recipe, index: PackageIndex) -> tuple[str, ...]:
    """The packages of the recipe's variant, by the fields of the first suite that it names.

    ``essential: true`` takes those of the smallest variant, without dpkg's files for them.
    """
    variant = recipe.variant or ("essential" if recipe.essential == "true" else "")
    if not variant:
        return ()
    assert isinstance(index, MergedIndex)
    first = recipe.archives[0]
    return variant_packages(index, variant, first.name, first.suites[0])


def _read_packages(
    selections: Mapping[Platform, Selection],
    state: ArchiveState,
    access: ArchiveAccess,
    read: ReadPackages,
) -> dict[Platform, dict[str, PackageContents]]:
    """Fetch and read every package that is not in ``read``; one that platforms share once."""
    wanted: dict[tuple[PackageFile, PathGlobs], None] = {}
    asked: dict[Platform, dict[str, tuple[PackageFile, PathGlobs]]] = {}
    for platform, selection in selections.items():
        asked[platform] = {
            package.name: (package.file, _globs(selection, package))
            for package in selection.packages
        }
        wanted |= dict.fromkeys(asked[platform].values())
    try:
        read |= read_packages(
            [key for key in wanted if key not in read], state.suite_dates(), access
        )
    except PackageGone as error:
        error.hint = "its archive lists it: use another --mirror, or wait until this one is in sync"
        raise
    return {
        platform: {name: read[key] for name, key in packages.items()}
        for platform, packages in asked.items()
    }


def _globs(selection: Selection, package: Package) -> PathGlobs:
    return wanted_globs(selection.slices.get(package.name, ()), selection.architecture)


def _packages_with_copyrights(
    selections: Mapping[Platform, Selection],
    checked: Mapping[Platform, PackageChecks],
    state: ArchiveState,
) -> dict[Platform, dict[SliceName, Slice]]:
    """Packages needed only for the copyright file that another package links to."""
    missing: dict[Platform, dict[SliceName, Slice]] = {}
    for platform, checks in checked.items():
        selection = selections[platform]
        have = {package.name for package in selection.packages}
        for name in sorted(set(checks.copyright_elsewhere.values()) - have):
            if state.indexes[selection.architecture].named(name):
                slice = copyright_slice(name)
                missing.setdefault(platform, {})[slice.name] = slice
    return missing


def _merged_faults(faults: Iterable[HomeportError]) -> list[HomeportError]:
    """Equal faults of several platforms as one."""
    found: dict[str, list[HomeportError]] = {}
    for fault in faults:
        found.setdefault(fault.what, []).append(fault)
    for same in found.values():
        same[0].where["platform"] = ", ".join(str(fault.where["platform"]) for fault in same)
    return [same[0] for same in found.values()]
