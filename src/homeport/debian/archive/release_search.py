"""Searching for the newest complete and valid state of one suite.

First the suite under its own name on the user's first mirror; if that state does not
qualify, everywhere, newest first. Coordinates on the caller's thread; reading and fetching
run on the pools. Not for several suites together (``debian.archive.archive``) nor for the
error when there is none (``debian.archive.release_errors``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import msgspec

from homeport.content.digest import Digest
from homeport.content.thread_pools import run_all
from homeport.debian.archive.index_fetch import (
    CompleteState,
    IncompleteState,
    NotCached,
    fetch_indexes,
)
from homeport.debian.archive.mirror import MIRROR_ERRORS, Mirror
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.release import Expired, KeyExpired, ReleaseNotYetValid, check_dates
from homeport.debian.archive.release_candidates import (
    Candidate,
    SuiteLocation,
    other_names,
    read_candidate,
    suite_location,
)
from homeport.debian.archive.release_errors import FailedSearch
from homeport.debian.archive.seen_indexes import SeenSuite, record_seen
from homeport.debian.archive.state import SuiteDates, SuiteSpec
from homeport.debian.archive.state_cache import newest_recorded_date, recorded_states
from homeport.errors import HomeportError
from homeport.runtime import Runtime


class SearchContext(msgspec.Struct, frozen=True, kw_only=True):
    """Inputs of the whole search."""

    specs: tuple[SuiteSpec, ...]
    architectures: tuple[str, ...]
    mirrors: Mirrors
    runtime: Runtime
    now: datetime
    as_of: datetime | None
    offline: bool
    not_before: SuiteDates

    @property
    def moment(self) -> datetime:
        return self.as_of or self.now

    def oldest_allowed(self, spec: SuiteSpec) -> datetime | None:
        """The oldest acceptable date; with ``as_of`` the user decides, so there is none."""
        if self.as_of is not None:
            return None
        known = self.not_before.get((spec.archive, spec.suite))
        return known or newest_recorded_date(self.runtime.store, spec)


class SuiteSearch(msgspec.Struct, kw_only=True):
    """The search for one suite's state, as far as it has come.

    asked: labels of the locations that were asked, and whether with retries
    """

    spec: SuiteSpec
    candidates: dict[Digest, Candidate] = msgspec.field(default_factory=dict)
    locations: dict[str, SuiteLocation] = msgspec.field(default_factory=dict)
    asked: dict[str, bool] = msgspec.field(default_factory=dict)
    errors: list[HomeportError] = msgspec.field(default_factory=list)
    outcomes: dict[Digest, CompleteState | IncompleteState] = msgspec.field(default_factory=dict)
    taken: CompleteState | None = None

    def has_asked(self, location: SuiteLocation, *, retrying: bool) -> bool:
        before = self.asked.get(location.label)
        return before is not None and (before or not retrying)

    def add(self, location: SuiteLocation, found: Candidate | HomeportError) -> None:
        if isinstance(found, Candidate):
            self.locations[location.label] = location
            self.candidates.setdefault(found.digest, found)
        else:
            self.errors.append(found)

    @property
    def newest_first(self) -> list[Candidate]:
        return sorted(self.candidates.values(), key=lambda c: c.release.date, reverse=True)


def read_first_release(context: SearchContext, spec: SuiteSpec) -> SuiteSearch:
    """The suite under its own name on the first mirror that has it, signed."""
    search = SuiteSearch(spec=spec)
    if context.offline:
        for candidate in recorded_states(context.runtime.store, spec):
            search.add(candidate.location, candidate)
        if not search.candidates:
            search.errors.append(
                NotCached(
                    f"the cache has no state of {spec}",
                    hint="run the command once without --offline",
                )
            )
        return search
    mirrors = context.mirrors.of(spec.archive)
    for mirror in mirrors:
        location = suite_location(spec, mirror, spec.suite)
        retrying = len(mirrors) == 1
        search.asked[location.label] = retrying
        search.add(location, _read_release(context, spec, location, fail_fast=not retrying))
        if search.candidates:
            break
    return search


def _read_release(
    context: SearchContext, spec: SuiteSpec, location: SuiteLocation, *, fail_fast: bool
) -> Candidate | HomeportError:
    context.runtime.cancel.check()
    try:
        return read_candidate(spec, location, fail_fast=fail_fast)
    except MIRROR_ERRORS as error:
        return error


def find_state(context: SearchContext, search: SuiteSearch) -> SuiteSearch:
    """Take the first state found if it qualifies, else search everywhere."""
    if not context.offline:
        _take_newest(context, search)
        if search.taken is None:
            known = len(search.locations)
            _read_everywhere(context, search, context.mirrors.of(search.spec.archive))
            if len(search.locations) > known:
                search.outcomes.clear()  # another location may have what was missing
    if search.taken is None:
        _take_newest(context, search)
    if search.taken is None and context.as_of is not None and not context.offline:
        for snapshots in context.mirrors.snapshot_mirrors(search.spec.archive, context.as_of):
            _read_everywhere(context, search, snapshots)
        _take_newest(context, search)
    return search


def note_seen(context: SearchContext, state: CompleteState) -> None:
    """Keep that this state was read now, for what builds say of their lockfile's age."""
    if context.offline or context.as_of is not None:
        return
    spec, candidate = state.candidate.spec, state.candidate
    seen = SeenSuite(
        date=candidate.release.date,
        checked=context.now,
        signers=candidate.signers,
        on_request=candidate.release.not_automatic,
        indexes={a: tuple(map(str, found)) for a, found in state.by_architecture.items()},
    )
    record_seen(context.runtime.store, spec.archive, spec.suite, seen)


def _read_everywhere(
    context: SearchContext, search: SuiteSearch, mirrors: Sequence[Mirror]
) -> None:
    """Read the suite's release files under all its names on all mirrors.

    While there is no candidate at all, all mirrors are asked again, with retries.
    """
    spec = search.spec
    retrying = not search.candidates
    others = dict.fromkeys(
        name
        for candidate in search.candidates.values()
        for name in other_names(spec, candidate.release)
    )
    locations = [
        suite_location(spec, mirror, name) for mirror in mirrors for name in (spec.suite, *others)
    ]
    unseen = [
        location for location in locations if not search.has_asked(location, retrying=retrying)
    ]
    looks = [
        partial(_read_release, context, spec, location, fail_fast=not retrying)
        for location in unseen
    ]
    found = run_all(context.runtime.pools.network, looks)
    search.asked |= {location.label: retrying for location in unseen}
    codenames = {candidate.release.codename for candidate in search.candidates.values()}
    for location, candidate in zip(unseen, found, strict=True):
        if isinstance(candidate, Candidate) and _is_alias_of_another(spec, candidate, codenames):
            continue
        search.add(location, candidate)


def _is_alias_of_another(spec: SuiteSpec, candidate: Candidate, codenames: set[str]) -> bool:
    """An alias moves on to the next release; then it is another suite."""
    return candidate.location.folder != spec.suite and candidate.release.codename not in codenames


def _take_newest(context: SearchContext, search: SuiteSearch) -> None:
    """Take the newest complete valid state, unless all are older than ``oldest_allowed``."""
    not_before = context.oldest_allowed(search.spec)
    candidates = search.newest_first
    if not_before is not None and candidates and candidates[0].release.date < not_before:
        return
    for candidate in candidates:
        if validity(context, candidate) is not None:
            continue
        outcome = _check_complete(context, search, candidate)
        if isinstance(outcome, CompleteState):
            search.taken = outcome
            return


def validity(context: SearchContext, candidate: Candidate) -> HomeportError | None:
    try:
        check_dates(candidate.release, context.moment)
    except (Expired, ReleaseNotYetValid) as error:
        return error
    if candidate.trust_end is not None and context.moment > candidate.trust_end.date:
        return KeyExpired(
            f"the keys that signed {candidate.release.title} {candidate.trust_end}",
            hint="update Homeport, or add newer keys to 'keys' of the archive in the recipe",
        )
    return None


def _check_complete(
    context: SearchContext, search: SuiteSearch, candidate: Candidate
) -> CompleteState | IncompleteState:
    """Whether a state is complete; fetches its indexes."""
    if candidate.digest not in search.outcomes:
        elsewhere = [
            location
            for location in search.locations.values()
            if location.label != candidate.location.label
        ]
        search.outcomes[candidate.digest] = fetch_indexes(
            candidate, context.architectures, elsewhere, context.runtime
        )
    return search.outcomes[candidate.digest]


def check_all_states(context: SearchContext, search: SuiteSearch) -> None:
    """Before failing: find states that ``--as-of`` would allow."""
    if not context.offline:
        _read_everywhere(context, search, context.mirrors.of(search.spec.archive))
    for candidate in search.newest_first:
        if candidate.release.date <= context.now:
            _check_complete(context, search, candidate)


def failed_search(context: SearchContext, search: SuiteSearch) -> FailedSearch:
    return FailedSearch(
        spec=search.spec,
        taken=search.taken,
        candidates=tuple(search.newest_first),
        outcomes=dict(search.outcomes),
        invalid={
            candidate.digest: error
            for candidate in search.candidates.values()
            if (error := validity(context, candidate)) is not None
        },
        errors=tuple(search.errors),
        not_before=context.oldest_allowed(search.spec),
        architectures=context.architectures,
        as_of=context.as_of,
        offline=context.offline,
    )
