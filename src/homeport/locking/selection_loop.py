"""Choosing and reading packages in turn, until both agree.

A package's copyright file may lie in another package, which is known only after reading
it; then that one is chosen too, for this file alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import msgspec

from homeport.content.thread_pools import run_all
from homeport.debian.archive.package_fetch import PackageGone
from homeport.debian.archive.state import ArchiveState
from homeport.debian.deb.contents import PackageContents, read_contents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.package import Package, PackageFile
from homeport.debian.resolution.explain import NoSolution
from homeport.errors import Faults, HomeportError
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import fetch_packages
from homeport.locking.package_checks import PackageChecks, examine
from homeport.locking.package_selection import Choice, Request, choose
from homeport.oci.platform import Platform
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice, SliceName, copyright_slice, wanted_globs

#: Copyright files that lie in a package whose copyright file lies in another…
_MOST_ROUNDS = 5

Reached = Mapping[Platform, Mapping[SliceName, Slice]]


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The packages of one platform, and what reading them showed."""

    choice: Choice
    finding: PackageChecks

    @property
    def packages(self) -> tuple[Package, ...]:
        """Those that put at least one file in the tree."""
        return tuple(p for p in self.choice.packages if p.name in self.finding.kept)


def settle(
    recipe: Recipe,
    access: ArchiveAccess,
    state: ArchiveState,
    reached: Reached,
    keep: Mapping[Platform, Mapping[str, str]],
) -> dict[Platform, Settled]:
    """The packages of every platform. Raises ``Faults`` with all that does not fit.

    reached: slices by choice or by need
    keep:    package → version to prefer, on each platform
    """
    if recipe.steps.copyright:
        reached = {platform: _with_copyrights(slices) for platform, slices in reached.items()}
    for _ in range(_MOST_ROUNDS):
        choices = _choose_all(recipe, state, reached, keep)
        contents = _read_all(choices, state, access)
        findings = {
            platform: examine(choice, contents[platform], usrmerge=recipe.steps.usrmerge)
            for platform, choice in choices.items()
        }
        missing = _copyrights_elsewhere(choices, findings, state) if recipe.steps.copyright else {}
        if not missing:
            break
        reached = {
            platform: {**slices, **missing.get(platform, {})}
            for platform, slices in reached.items()
        }
    faults = [fault for finding in findings.values() for fault in finding.faults]
    if faults:
        raise Faults(_together(faults), what=f"the packages do not fit the recipe {recipe.name}")
    return {
        platform: Settled(choice=choice, finding=findings[platform])
        for platform, choice in choices.items()
    }


def _with_copyrights(slices: Mapping[SliceName, Slice]) -> dict[SliceName, Slice]:
    """With the slice ``copyright`` of every package of which another slice is taken."""
    added = [copyright_slice(name.package) for name in slices]
    return {**slices, **{slice.name: slice for slice in added}}


def _choose_all(
    recipe: Recipe,
    state: ArchiveState,
    reached: Reached,
    keep: Mapping[Platform, Mapping[str, str]],
) -> dict[Platform, Choice]:
    """The packages of every platform. Raises ``Unresolvable`` naming those that have none."""
    answers = {
        platform: choose(
            Request(
                recipe=recipe,
                platform=platform,
                index=state.indexes[debian_architecture(platform)],
                reached=reached[platform],
                keep=keep.get(platform, {}),
                on_request=state.on_request,
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
    return {platform: answer for platform, answer in answers.items() if isinstance(answer, Choice)}


def _read_all(
    choices: Mapping[Platform, Choice], state: ArchiveState, access: ArchiveAccess
) -> dict[Platform, dict[str, PackageContents]]:
    """Fetch and read every package; one that several platforms share once."""
    wanted: dict[tuple[PackageFile, PathGlobs], None] = {}
    asked: dict[Platform, dict[str, tuple[PackageFile, PathGlobs]]] = {}
    for platform, choice in choices.items():
        asked[platform] = {
            package.name: (package.file, _globs(choice, package)) for package in choice.packages
        }
        wanted |= dict.fromkeys(asked[platform].values())
    try:
        debs = fetch_packages((file for file, _ in wanted), state.floor(), access)
    except PackageGone as error:
        error.hint = "its archive lists it: use another --mirror, or wait until this one is done"
        raise
    transfer = access.transfer
    calls = [
        partial(
            read_contents,
            debs[file],
            globs,
            transfer.store,
            expected=file.id,
            cancel=transfer.cancel,
        )
        for file, globs in wanted
    ]
    read = dict(zip(wanted, run_all(access.pools.processor, calls), strict=True))
    return {
        platform: {name: read[key] for name, key in packages.items()}
        for platform, packages in asked.items()
    }


def _globs(choice: Choice, package: Package) -> PathGlobs:
    return wanted_globs(choice.slices.get(package.name, ()), choice.architecture)


def _copyrights_elsewhere(
    choices: Mapping[Platform, Choice],
    findings: Mapping[Platform, PackageChecks],
    state: ArchiveState,
) -> dict[Platform, dict[SliceName, Slice]]:
    """Packages that are only wanted for the copyright file that another points to."""
    missing: dict[Platform, dict[SliceName, Slice]] = {}
    for platform, finding in findings.items():
        choice = choices[platform]
        have = {package.name for package in choice.packages}
        for name in sorted(set(finding.elsewhere.values()) - have):
            if state.indexes[choice.architecture].named(name):
                slice = copyright_slice(name)
                missing.setdefault(platform, {})[slice.name] = slice
    return missing


def _together(faults: Iterable[HomeportError]) -> list[HomeportError]:
    """Equal faults of several platforms as one."""
    found: dict[str, list[HomeportError]] = {}
    for fault in faults:
        found.setdefault(fault.what, []).append(fault)
    for same in found.values():
        same[0].where["platform"] = ", ".join(str(fault.where["platform"]) for fault in same)
    return [same[0] for same in found.values()]
