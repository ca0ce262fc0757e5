"""``lock``: from a recipe to a lockfile, by one state of its archives.

Packages are selected for every platform, fetched and read. Reading shows which of them put
a file in the image, whether every path of a slice exists, and whether two packages provide
the same path. Omitted and missing parts are in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

import homeport
from homeport.debian.archive.archive import open_archives
from homeport.debian.archive.state import ArchiveState, SuiteDates, SuiteState
from homeport.debian.package import Package
from homeport.debian.resolution.archive_order import HigherElsewhere
from homeport.debian.resolution.resolve import LeftOut
from homeport.debian.scripts.shell_parser import NoShellParser
from homeport.errors import Faults
from homeport.locking.account_numbers import account_numbers, moved_numbers
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.locking.changes import PackageChange, package_changes, same_content
from homeport.locking.implied.implied_packages import implied_texts
from homeport.locking.local_index import with_local_packages
from homeport.locking.package_selection import Selection, check_suites
from homeport.locking.selection_loop import CheckedPackages, SelectedPackages, select_and_check
from homeport.locking.update_policy import KEEP_LOCKED, UpdatePolicy
from homeport.oci.platform import Platform
from homeport.recipe.lock.lock_request import (
    reached_slices,
    request_digest,
    used_definitions,
    with_successors,
)
from homeport.recipe.lock.model import NO_NUMBERS, LockedPackage, LockedSuite, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.slices.model import Slice, SliceName
from homeport.recipe.slices.reading import SliceFolders


class PlatformReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a build report shows about one platform's packages.

    left_out: dependencies that the recipe leaves out
    higher_elsewhere: higher versions in archives that others precede
    declared: packages that declared dependencies of sliced ones would have added
    empty:    selected packages without a file in the tree
    without_copyright:   packages without a copyright file
    """

    left_out: tuple[LeftOut, ...]
    higher_elsewhere: tuple[HigherElsewhere, ...]
    declared: tuple[str, ...]
    empty: tuple[str, ...]
    without_copyright: tuple[str, ...]


class LockResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of ``lock``."""

    lockfile: Lockfile
    previous: Lockfile | None
    state: ArchiveState
    changes: tuple[PackageChange, ...]
    platforms: Mapping[Platform, PlatformReport] = msgspec.field(default_factory=dict)


def lock(
    recipe: Recipe,
    access: ArchiveAccess,
    *,
    previous: Lockfile | None = None,
    update: UpdatePolicy = KEEP_LOCKED,
    as_of: datetime | None = None,
    command: str = "homeport lock",
) -> LockResult:
    """Resolve ``recipe`` for all its platforms from one state.

    previous: its versions are preferred, and no state older than its own is taken
    command:  what the user typed, for errors that print a command to use instead

    Raises ``Faults`` with every fault of slices and packages, ``Unresolvable``, and what
    opening archives raises.
    """
    folders = SliceFolders(recipe.slices, recipe.boundary)
    reached = reached_slices(recipe, folders)
    if folders.faults:
        raise Faults(folders.faults, what=f"faults in the slices of {recipe.name}")
    check_suites(recipe)
    not_before = previous.suite_dates() if previous else None
    state = _open(recipe, access, as_of=as_of, not_before=not_before, command=command)
    state = with_local_packages(state, recipe, access.runtime)

    def available(architecture: str, package: str) -> bool:
        return bool(state.indexes[architecture].named(package))

    named = with_successors(recipe, folders, available)
    taken = reached_slices(named, folders, available)
    checked = select_and_check(named, access, state, taken, _kept_versions(previous, update))
    for text in _remarks(checked.platforms.values()):
        access.runtime.progress.note("lock", text)
    lockfile = _lockfile(recipe, state, checked, used_definitions(reached))
    if previous is not None:
        lockfile = msgspec.structs.replace(lockfile, parts=previous.parts)
    recorded = previous.accounts if previous else NO_NUMBERS
    try:
        numbers = account_numbers(
            recipe, lockfile, checked.contents, recorded=recorded, store=access.runtime.store
        )
    except NoShellParser as error:  # whoever builds needs it; the versions are locked without
        access.runtime.progress.note(
            "lock", f"warning: account numbers kept as recorded: {error.what}"
        )
        numbers = recorded
    lockfile = msgspec.structs.replace(lockfile, accounts=numbers)
    if previous is not None and same_content(previous, lockfile):
        # Without changes no image changes: local files keep their time.
        lockfile = msgspec.structs.replace(lockfile, epoch=previous.epoch)
    for text in moved_numbers(recorded, numbers):
        access.runtime.progress.note("lock", text)
    return LockResult(
        lockfile=lockfile,
        previous=previous,
        state=state,
        changes=package_changes(previous, lockfile),
        platforms={platform: _report(found) for platform, found in checked.platforms.items()},
    )


def _remarks(selected: Iterable[CheckedPackages]) -> list[str]:
    """Choices that the user may not expect, each once for all platforms."""
    checked = list(selected)
    found: dict[str, None] = {}
    for resolution in (each.selection.resolution for each in checked):
        found |= dict.fromkeys(f"warning: {each}" for each in resolution.higher_elsewhere)
        for chosen in resolution.packages:
            name, asked = chosen.package.name, chosen.why.text
            is_root = chosen.why.by is None
            if is_root and asked != name and not asked.startswith((f"{name}=", f"{name}/")):
                found[f"{asked}: takes {name}, its only provider"] = None
    for text in implied_texts(each.implied for each in checked):
        found[text] = None
    return list(found)


def _open(
    recipe: Recipe,
    access: ArchiveAccess,
    *,
    as_of: datetime | None,
    not_before: SuiteDates | None,
    command: str,
) -> ArchiveState:
    """One state for all architectures of the recipe."""
    specs = suite_specs(recipe)
    architectures = list(dict.fromkeys(map(debian_architecture, recipe.platforms)))

    def open_state() -> ArchiveState:
        return open_archives(
            specs,
            architectures,
            mirrors=access.mirrors,
            runtime=access.runtime,
            as_of=as_of,
            offline=access.offline,
            not_before=not_before,
            clock=access.clock,
            command=command,
        )

    if access.opened is None or as_of is not None:
        return open_state()
    return access.opened.state(specs, architectures, access.mirrors, not_before, open_state)


def _kept_versions(
    previous: Lockfile | None, update: UpdatePolicy
) -> dict[Platform, dict[str, str]]:
    if previous is None:
        return {}
    return {
        platform: {
            package.name: package.version for package in packages if update.keeps(package.name)
        }
        for platform, packages in previous.platforms.items()
    }


def _lockfile(
    recipe: Recipe,
    state: ArchiveState,
    selected: SelectedPackages,
    definitions: Mapping[SliceName, Slice],
) -> Lockfile:
    checked = selected.platforms
    platforms = {
        platform: tuple(_locked(package, found.selection) for package in found.packages)
        for platform, found in checked.items()
    }
    used = {
        SliceName(package=package.name, slice=slice)
        for packages in platforms.values()
        for package in packages
        for slice in package.slices
    }
    left_out = {left.name for found in checked.values() for left in found.selection.left_out}
    return Lockfile(
        recipe=recipe.name,
        request=request_digest(recipe, definitions),
        homeport=homeport.__version__,
        epoch=_epoch(state, platforms.values()),
        as_of=state.as_of,
        without=tuple(sorted(left_out)),
        archives=tuple(map(_locked_suite, state.suites)),
        platforms=platforms,
        slices={
            name: slice
            for name, slice in sorted({**definitions, **selected.implied}.items())
            if name in used
        },
    )


def _locked_suite(suite: SuiteState) -> LockedSuite:
    return LockedSuite(
        archive=suite.archive,
        suite=suite.suite,
        read_as=suite.read_as,
        codename=suite.codename,
        date=suite.date,
        valid_until=suite.valid_until,
        release=suite.release,
        signers=suite.signers,
    )


def _locked(package: Package, selection: Selection) -> LockedPackage:
    return LockedPackage(
        file=package.file,
        suite=package.suite,
        source_name=package.source_name,
        source_version=package.source_version,
        slices=tuple(sorted(slice.name.slice for slice in selection.slices.get(package.name, ()))),
    )


def _epoch(state: ArchiveState, platforms: Iterable[Sequence[LockedPackage]]) -> int:
    """The newest date of the suites with a locked package (of all suites, if there is none)."""
    used = {(p.file.archive, p.suite) for packages in platforms for p in packages}
    dates = [suite.date for suite in state.suites if (suite.archive, suite.suite) in used]
    return int(max(dates or [suite.date for suite in state.suites]).timestamp())


def _report(found: CheckedPackages) -> PlatformReport:
    selection, checks = found.selection, found.checks
    return PlatformReport(
        left_out=selection.left_out,
        higher_elsewhere=selection.resolution.higher_elsewhere,
        declared=selection.declared,
        empty=tuple(p.name for p in selection.packages if p.name not in checks.kept),
        without_copyright=checks.without_copyright,
    )
