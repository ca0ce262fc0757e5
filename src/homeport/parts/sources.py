"""Debian source packages as inputs of parts: pinned, and fetched as they were pinned.

The release file that the build root's lock names is verified again from the cache. The part's
commands unpack the .dsc (``dpkg-source -x``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from homeport.content.blob import Blob
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import recorded_states
from homeport.debian.deb822 import Paragraph
from homeport.debian.package import PackageFile
from homeport.debian.version import parse_version
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.locking.source_packages import (
    NoSource,
    check_dsc,
    fetch_files,
    fetch_indexes,
    files_of_source,
    locked_source,
    read_stanzas,
)
from homeport.recipe.lock.model import LockedSource, Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.parts import SourceInput


def lock_sources(
    inputs: Sequence[SourceInput], recipe: Recipe, root: Lockfile, access: ArchiveAccess
) -> tuple[LockedSource, ...]:
    """The source packages, from the archive states that the build root is locked to.

    Raises ``NoSource``, ``IntegrityError``, and what mirrors raise.
    """
    if not inputs:
        return ()
    listed = _stanzas({each.package for each in inputs}, recipe, root, access)
    found = []
    for each in inputs:
        stanzas = [
            (spec, stanza)
            for spec, stanza in listed
            if stanza.get("Package") == each.package
            and each.version in (None, stanza.get("Version"))
        ]
        if not stanzas:
            wanted = f"{each.package} {each.version or ''}".strip()
            raise NoSource(
                f"no suite of the recipe has the source package {wanted}",
                where=each.place.where(),
                hint="a source package may have another name than its binary packages",
            )
        spec, newest = max(stanzas, key=lambda pair: parse_version(pair[1].get("Version")))
        locked = locked_source(newest, spec)
        dsc, *_ = files_of_source(locked)
        check_dsc(locked, fetch_files([dsc], _dates(root), access)[dsc])
        found.append(locked)
    return tuple(dict.fromkeys(found))


def fetch_sources(
    sources: Sequence[LockedSource], root: Lockfile, access: Callable[[], ArchiveAccess]
) -> Mapping[PackageFile, Blob]:
    """Every file of the source packages, verified. Raises ``PackageGone`` and similar errors."""
    files = [file for source in sources for file in files_of_source(source)]
    return fetch_files(files, _dates(root), access()) if files else {}


def _dates(root: Lockfile) -> dict[str, datetime]:
    return {archive: date for (archive, _), date in root.suite_dates().items()}


def _stanzas(
    names: set[str], recipe: Recipe, root: Lockfile, access: ArchiveAccess
) -> list[tuple[SuiteSpec, Paragraph]]:
    """The stanzas of these source packages in all suites of the recipe."""
    found = []
    for spec in suite_specs(recipe):
        for index, blob in fetch_indexes(_candidate(spec, root, access), access):
            for stanzas in read_stanzas(index, blob, names).values():
                found += [(spec, stanza) for stanza in stanzas]
    return found


def _candidate(spec: SuiteSpec, root: Lockfile, access: ArchiveAccess) -> Candidate:
    """The verified release file of the state that the build root is locked to."""
    wanted = {(suite.archive, suite.suite): suite.release for suite in root.archives}
    for candidate in recorded_states(access.runtime.store, spec):
        if candidate.digest == wanted[spec.archive, spec.suite]:
            return candidate
    raise NoSource(
        f"the cache has no release file of {spec} any more",
        hint="lock its part again: homeport lock RECIPE --update PART",
    )
