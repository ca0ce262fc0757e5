"""``lock``: from a recipe to a lockfile, by one state of its archives.

Packages are chosen for every platform, fetched and read: only so is it known which of
them put a file in the image, whether every slice finds its paths, and whether two
packages provide one. What was kept back, left out or found missing is in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

import homeport
from homeport.content.pools import run_all
from homeport.debian.archive import open_archives
from homeport.debian.contents import PackageContents, read_contents
from homeport.debian.explain import NoSolution
from homeport.debian.package import Package, PackageFile
from homeport.debian.path_globs import PathGlobs
from homeport.debian.resolve import LeftOut
from homeport.debian.state import ArchiveState
from homeport.errors import Faults, HomeportError
from homeport.locking.changes import PackageChange, package_changes, same_content
from homeport.locking.choosing import Choice, Request, choose
from homeport.locking.examining import Examination, examine
from homeport.locking.fetching import fetch_packages
from homeport.locking.reach import Reach, suite_specs
from homeport.locking.renewal import KEEP, Renewal
from homeport.oci.platform import Platform
from homeport.recipe.lockfile import LockedPackage, LockedSuite, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.request import reached_slices, request_digest, used_definitions
from homeport.recipe.slicefile import SliceFolders
from homeport.recipe.slices import (
    COPYRIGHT,
    Slice,
    SliceName,
    copyright_slice,
    wanted_globs,
)

#: Packages whose copyright file lies in another one, that lies in another one…
_MOST_ROUNDS = 5

Reached = dict[Platform, dict[SliceName, Slice]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformReport:
    """What a build report should say about one platform's packages.

    left_out: dependencies that the recipe leaves out
    declared: packages that declared dependencies of sliced ones would have added
    empty:    packages that were chosen and put no file in the tree
    silent:   packages without a copyright file
    """

    left_out: tuple[LeftOut, ...]
    declared: tuple[str, ...]
    empty: tuple[str, ...]
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """The answer of ``lock``."""

    lockfile: Lockfile
    previous: Lockfile | None
    state: ArchiveState
    changes: tuple[PackageChange, ...]
    platforms: Mapping[Platform, PlatformReport] = field(default_factory=dict)


def lock(
    recipe: Recipe,
    reach: Reach,
    *,
    previous: Lockfile | None = None,
    renewal: Renewal = KEEP,
    as_of: datetime | None = None,
    command: str = "homeport lock",
) -> Locked:
    """Resolve ``recipe`` for all its platforms from one state.

    previous: its versions are preferred, and no state older than its own is taken
    command:  what the user typed, for refusals that print the command to use instead

    Raises ``Faults`` with every fault of slices and packages, ``Unresolvable``, and what
    opening archives raises.
    """
    folders = SliceFolders(recipe.slices)
    reached = reached_slices(recipe, folders)
    if folders.faults:
        raise Faults(folders.faults, what=f"faults in the slices of {recipe.name}")
    definitions = used_definitions(reached)
    state = open_archives(
        suite_specs(recipe),
        list(dict.fromkeys(map(debian_architecture, recipe.platforms))),
        mirrors=reach.mirrors,
        store=reach.transfer.store,
        pools=reach.pools,
        progress=reach.transfer.progress,
        cancel=reach.transfer.cancel,
        as_of=as_of,
        offline=reach.offline,
        floor=previous.floor() if previous else None,
        clock=reach.clock,
        command=command,
    )
    keep = _kept_versions(previous, renewal)
    choices, findings = _settle(recipe, reach, state, reached, keep)
    lockfile = _lockfile(recipe, state, choices, findings, definitions)
    if previous is not None and same_content(previous, lockfile):
        # Without news, no image changes: local files keep their time.
        lockfile = replace(lockfile, epoch=previous.epoch)
    return Locked(
        lockfile=lockfile,
        previous=previous,
        state=state,
        changes=package_changes(previous, lockfile),
        platforms={
            platform: _report(choices[platform], findings[platform]) for platform in choices
        },
    )


def _kept_versions(previous: Lockfile | None, renewal: Renewal) -> dict[Platform, dict[str, str]]:
    if previous is None:
        return {}
    return {
        platform: {
            package.name: package.version for package in packages if renewal.keeps(package.name)
        }
        for platform, packages in previous.platforms.items()
    }


def _settle(
    recipe: Recipe,
    reach: Reach,
    state: ArchiveState,
    reached: Reached,
    keep: Mapping[Platform, Mapping[str, str]],
) -> tuple[dict[Platform, Choice], dict[Platform, Examination]]:
    """Choose and read packages until no copyright file lies in a package that is not there."""
    if recipe.steps.copyright:
        reached = {platform: _with_copyrights(slices) for platform, slices in reached.items()}
    for _ in range(_MOST_ROUNDS):
        choices = _choose_all(recipe, state, reached, keep)
        contents = _read_all(choices, reach)
        findings = {
            platform: examine(choice, contents[platform], usrmerge=recipe.steps.usrmerge)
            for platform, choice in choices.items()
        }
        missing = _copyrights_elsewhere(choices, findings, state) if recipe.steps.copyright else {}
        if not missing:
            break
        reached = {
            platform: slices | missing.get(platform, {}) for platform, slices in reached.items()
        }
    faults = [fault for finding in findings.values() for fault in finding.faults]
    if faults:
        raise Faults(_together(faults), what=f"the packages do not fit the recipe {recipe.name}")
    return choices, findings


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
    choices: Mapping[Platform, Choice], reach: Reach
) -> dict[Platform, dict[str, PackageContents]]:
    """Fetch and read every package; one that several platforms share once."""
    wanted: dict[tuple[PackageFile, PathGlobs], None] = {}
    asked: dict[Platform, dict[str, tuple[PackageFile, PathGlobs]]] = {}
    for platform, choice in choices.items():
        asked[platform] = {
            package.name: (package.file, _globs(choice, package)) for package in choice.packages
        }
        wanted |= dict.fromkeys(asked[platform].values())
    debs = fetch_packages((file for file, _ in wanted), reach)
    transfer = reach.transfer
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
    read = dict(zip(wanted, run_all(reach.pools.processor, calls), strict=True))
    return {
        platform: {name: read[key] for name, key in packages.items()}
        for platform, packages in asked.items()
    }


def _globs(choice: Choice, package: Package) -> PathGlobs:
    return wanted_globs(choice.slices.get(package.name, ()), choice.architecture)


def _copyrights_elsewhere(
    choices: Mapping[Platform, Choice],
    findings: Mapping[Platform, Examination],
    state: ArchiveState,
) -> Reached:
    """Packages that are only wanted for the copyright file that another points to."""
    missing: Reached = {}
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


def _lockfile(
    recipe: Recipe,
    state: ArchiveState,
    choices: Mapping[Platform, Choice],
    findings: Mapping[Platform, Examination],
    definitions: Mapping[SliceName, Slice],
) -> Lockfile:
    platforms = {
        platform: tuple(
            _locked(package, choice)
            for package in choice.packages
            if package.name in findings[platform].kept
        )
        for platform, choice in choices.items()
    }
    used = {
        SliceName(package=package.name, slice=slice)
        for packages in platforms.values()
        for package in packages
        for slice in package.slices
        if slice != COPYRIGHT
    }
    left_out = {left.name for choice in choices.values() for left in choice.left_out}
    return Lockfile(
        recipe=recipe.name,
        request=request_digest(recipe, definitions),
        homeport=homeport.__version__,
        epoch=_epoch(state, platforms.values()),
        as_of=state.as_of,
        without=tuple(sorted(left_out)),
        archives=tuple(
            LockedSuite(
                archive=suite.archive,
                suite=suite.suite,
                read_as=suite.read_as,
                codename=suite.codename,
                date=suite.date,
                valid_until=suite.valid_until,
                release=suite.release,
                signers=suite.signers,
            )
            for suite in state.suites
        ),
        platforms=platforms,
        slices={name: slice for name, slice in definitions.items() if name in used},
    )


def _locked(package: Package, choice: Choice) -> LockedPackage:
    return LockedPackage(
        file=package.file,
        suite=package.suite,
        source_name=package.source_name,
        source_version=package.source_version,
        slices=tuple(sorted(slice.name.slice for slice in choice.slices.get(package.name, ()))),
    )


def _epoch(state: ArchiveState, platforms: Iterable[Sequence[LockedPackage]]) -> int:
    """The newest date of the suites that gave a package (of all, if none did)."""
    gave = {(p.file.archive, p.suite) for packages in platforms for p in packages}
    dates = [suite.date for suite in state.suites if (suite.archive, suite.suite) in gave]
    return int(max(dates or [suite.date for suite in state.suites]).timestamp())


def _report(choice: Choice, finding: Examination) -> PlatformReport:
    return PlatformReport(
        left_out=choice.left_out,
        declared=choice.declared,
        empty=tuple(p.name for p in choice.packages if p.name not in finding.kept),
        silent=finding.silent,
    )
