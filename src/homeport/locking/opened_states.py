"""What one run over many recipes opened and read before, so that recipes share it.

A fleet's recipes mostly name the same suites: one search, one check of signatures and one opened
index for all of them. A recipe whose lockfile is newer than such a state opens its own, by the
rules against rolling back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.state import ArchiveState, SuiteDates, SuiteSpec
from homeport.debian.deb.contents import PackageContents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.package import PackageFile
from homeport.debian.resolution.candidates import SharedFinders

#: Paths of packages that are kept in memory, about 250 bytes each.
_MOST_PATHS = 400_000


class OpenedStates:
    """For one run and one moment: a state is not looked for again."""

    def __init__(self) -> None:
        self.finders = SharedFinders()
        self._states: dict[object, ArchiveState] = {}
        self._contents: OrderedDict[tuple[PackageFile, PathGlobs], PackageContents] = OrderedDict()
        self._paths = 0

    def state(
        self,
        specs: Sequence[SuiteSpec],
        architectures: Sequence[str],
        mirrors: Mirrors,
        not_before: SuiteDates | None,
        open_state: Callable[[], ArchiveState],
    ) -> ArchiveState:
        """The state of these suites, opened by ``open_state`` if none fits."""
        key = (tuple(_key(spec, mirrors) for spec in specs), tuple(sorted(architectures)))
        known = self._states.get(key)
        if known is not None and _reaches(known, not_before or {}):
            return known
        opened = self._states[key] = open_state()
        return opened

    def contents(self, file: PackageFile, globs: PathGlobs) -> PackageContents | None:
        """A package as it was read before, if it is still kept."""
        found = self._contents.get((file, globs))
        if found is not None:
            self._contents.move_to_end((file, globs))
        return found

    def keep(self, file: PackageFile, globs: PathGlobs, contents: PackageContents) -> None:
        """Keep a package that was read; the least recently used are dropped first."""
        if (file, globs) in self._contents:
            return
        self._contents[file, globs] = contents
        self._paths += len(contents.entries)
        while self._paths > _MOST_PATHS and len(self._contents) > 1:
            _, dropped = self._contents.popitem(last=False)
            self._paths -= len(dropped.entries)


def _key(spec: SuiteSpec, mirrors: Mirrors) -> object:
    """The same suite of other mirrors or by other keys is another one."""
    labels = tuple(mirror.label for mirror in mirrors.by_archive.get(spec.archive, ()))
    trusted = tuple(sorted((*spec.keyring.fingerprints, *spec.keyring.only)))
    return (spec.archive, spec.suite, spec.components, trusted, labels)


def _reaches(state: ArchiveState, not_before: SuiteDates) -> bool:
    dates = state.suite_dates()
    return all(dates[suite] >= date for suite, date in not_before.items() if suite in dates)
