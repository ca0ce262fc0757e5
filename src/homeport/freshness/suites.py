"""The newest state of each suite, for every architecture that can be had.

Locking needs one state that is whole for all architectures; to say what is newer, each
architecture stands for itself: a mirror in mid-sync answers for some, and "not known" is the
answer for the others. Each suite and each index is opened once for all recipes of a run. Same
trust as locking: signatures, dates and hashes are those of ``debian.archive``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec

from homeport.content.thread_pools import run_all
from homeport.debian.archive.index_fetch import CompleteState, IncompleteState, index_tasks
from homeport.debian.archive.mirror import MIRROR_ERRORS
from homeport.debian.archive.release import BadRelease, ReleaseNotYetValid
from homeport.debian.archive.release_candidates import (
    Candidate,
    other_names,
    read_candidate,
    suite_location,
)
from homeport.debian.archive.release_search import (
    SearchContext,
    SuiteSearch,
    find_state,
    note_seen,
    read_first_release,
    validity,
)
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import record_state
from homeport.debian.index.index import IndexPart
from homeport.errors import HomeportError
from homeport.locking.archive_access import ArchiveAccess


class SuiteView(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as it was seen.

    newest:  the newest release file that was found, if any was
    parts:   architecture → its indexes
    unknown: architecture → why its index was not to be had
    dropped: architectures that the suite does not list (any more)
    behind:  for an alias (``stable``): the same release under its codename, if that is newer
    """

    spec: SuiteSpec
    newest: Candidate | None
    parts: Mapping[str, tuple[IndexPart, ...]] = msgspec.field(default_factory=dict)
    unknown: Mapping[str, str] = msgspec.field(default_factory=dict)
    dropped: Mapping[str, str] = msgspec.field(default_factory=dict)
    behind: Candidate | None = None

    @property
    def date(self) -> datetime | None:
        return self.newest.release.date if self.newest else None


class SuiteViews:
    """The suites of one run, each opened once for the architectures that are needed."""

    def __init__(self) -> None:
        self._views: dict[object, SuiteView] = {}

    def open(
        self, specs: Sequence[SuiteSpec], architectures: Sequence[str], access: ArchiveAccess
    ) -> list[SuiteView]:
        """The suites for these architectures, in this order."""
        found = []
        for spec in specs:
            key = _key(spec, access)
            known = self._views.get(key)
            missing = [a for a in architectures if known is None or not _knows(known, a)]
            if missing:
                more = _open(spec, missing, access)
                known = self._views[key] = more if known is None else _joined(known, more)
            assert known is not None
            found.append(known)
        return found

    @property
    def all(self) -> list[SuiteView]:
        return list(self._views.values())


def _key(spec: SuiteSpec, access: ArchiveAccess) -> object:
    """The same suite of other mirrors or other keys is another one."""
    mirrors = tuple(mirror.label for mirror in access.mirrors.by_archive.get(spec.archive, ()))
    trusted = tuple(sorted((*spec.keyring.fingerprints, *spec.keyring.only)))
    return (spec.archive, spec.suite, spec.components, trusted, mirrors)


def _knows(view: SuiteView, architecture: str) -> bool:
    return (
        architecture in view.parts or architecture in view.unknown or architecture in view.dropped
    )


def _joined(one: SuiteView, two: SuiteView) -> SuiteView:
    return SuiteView(
        spec=one.spec,
        newest=one.newest or two.newest,
        parts={**one.parts, **two.parts},
        unknown={**one.unknown, **two.unknown},
        dropped={**one.dropped, **two.dropped},
        behind=one.behind or two.behind,
    )


def _open(spec: SuiteSpec, architectures: Sequence[str], access: ArchiveAccess) -> SuiteView:
    context = SearchContext(
        specs=(spec,),
        architectures=tuple(architectures),
        mirrors=access.mirrors,
        runtime=access.runtime,
        now=access.clock(),
        as_of=None,
        offline=access.offline,
        not_before={},
    )
    try:
        (search,) = run_all(
            access.runtime.pools.network, [partial(read_first_release, context, spec)]
        )
        if not search.candidates:
            find_state(context, search)  # asks every mirror, with retries
    except (*MIRROR_ERRORS, HomeportError) as error:
        return _unread(spec, architectures, str(error))
    if not search.candidates:
        why = search.errors[-1].what if search.errors else "no mirror has it"
        return _unread(spec, architectures, why)
    return _view(context, search, architectures)


def _unread(spec: SuiteSpec, architectures: Sequence[str], why: str) -> SuiteView:
    return SuiteView(spec=spec, newest=None, unknown=dict.fromkeys(architectures, why))


def _view(context: SearchContext, search: SuiteSearch, architectures: Sequence[str]) -> SuiteView:
    newest = search.newest_first[0]
    listed, dropped = _listed(newest, architectures)
    parts: dict[str, tuple[IndexPart, ...]] = {}
    unknown: dict[str, str] = {}
    found = _find(context, search, listed)
    if isinstance(found, CompleteState):
        # One that is not whole is not recorded: locking would take nothing older any more.
        record_state(context.runtime.store, found.candidate)
    elif isinstance(found, IncompleteState):
        unknown = dict.fromkeys(found.architectures, found.error.what)
        newest = found.candidate
        found = _find(context, search, [a for a in listed if a not in unknown])
    if isinstance(found, CompleteState):
        note_seen(context, found)
        newest = found.candidate
        parts = {a: found.parts(a) for a in listed if a not in unknown}
    else:
        why = found if isinstance(found, str) else found.error.what
        unknown = {**dict.fromkeys(listed, why), **unknown}
    return SuiteView(
        spec=search.spec, newest=newest, parts=parts, unknown=unknown, dropped=dropped,
        behind=None if context.offline else _under_its_codename(newest),
    )  # fmt: skip


def _under_its_codename(alias: Candidate) -> Candidate | None:
    """What the same mirror serves as the release's codename, if it is newer.

    Mirrors move aliases last, by hours or days: ``stable`` was 13.7 while ``trixie`` was 13.8.
    Raises nothing: a mirror without the other name has nothing newer to tell.
    """
    spec, release, mirror = alias.spec, alias.release, alias.location.mirror
    if mirror is None or release.codename not in other_names(spec, release):
        return None
    location = suite_location(spec, mirror, release.codename)
    try:
        other = read_candidate(spec, location)
    except MIRROR_ERRORS:
        return None
    return other if other.release.date > release.date else None


def _listed(candidate: Candidate, architectures: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    listed: list[str] = []
    dropped: dict[str, str] = {}
    for architecture in architectures:
        try:
            index_tasks(candidate, [architecture])
            listed.append(architecture)
        except BadRelease as error:
            dropped[architecture] = error.what
    return listed, dropped


def _find(
    context: SearchContext, search: SuiteSearch, architectures: Sequence[str]
) -> CompleteState | IncompleteState | str:
    """The newest state with the indexes of these architectures, or why there is none.

    An older complete state does not answer the question, which is what came since.
    """
    one = SuiteSearch(
        spec=search.spec,
        candidates=dict(search.candidates),
        locations=dict(search.locations),
        asked=dict(search.asked),
    )
    narrowed = msgspec.structs.replace(context, architectures=tuple(architectures))
    try:
        find_state(narrowed, one)
    except HomeportError as error:
        return error.what
    newest = one.newest_first[0]
    if one.taken is not None and one.taken.candidate.digest == newest.digest:
        return one.taken
    if (invalid := validity(narrowed, newest)) is not None:
        wrong = isinstance(invalid, ReleaseNotYetValid)
        return f"{invalid.what}: is this machine's clock slow?" if wrong else invalid.what
    outcome = one.outcomes.get(newest.digest)
    if isinstance(outcome, IncompleteState):
        return outcome
    oldest = narrowed.oldest_allowed(search.spec)
    if oldest is not None and newest.release.date < oldest:
        return (
            f"{newest.release.title} of {newest.release.date:%Y-%m-%d %H:%M} is older than the "
            f"state of {oldest:%Y-%m-%d %H:%M} that was seen before: the mirror lags behind"
        )
    return "its newest state could not be read"
