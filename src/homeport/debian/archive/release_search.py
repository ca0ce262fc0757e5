"""Hunting for one suite's state: where to look next, and what to take.

First the suite under its own name on the user's first mirror; if that state is not good,
everywhere, newest first. Coordinates on the caller's thread; reading and fetching run on
the pools. Not for what several suites have in common (``debian.archive``) nor for wording
a refusal (``debian.refusal``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import msgspec

from homeport.content.digest import Digest
from homeport.content.thread_pools import Pools, run_all
from homeport.debian.archive.index_fetch import Incomplete, NotCached, Whole, collect
from homeport.debian.archive.mirror import TROUBLE, Mirror, Transfer
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.release import Expired, FromTheFuture, KeyExpired, check_dates
from homeport.debian.archive.release_candidates import (
    Candidate,
    Place,
    other_names,
    place_of,
    read_candidate,
)
from homeport.debian.archive.release_errors import Failed
from homeport.debian.archive.state import Floor, SuiteSpec
from homeport.debian.archive.state_cache import remembered, remembered_date
from homeport.errors import HomeportError


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the whole search."""

    specs: tuple[SuiteSpec, ...]
    architectures: tuple[str, ...]
    mirrors: Mirrors
    transfer: Transfer
    pools: Pools
    now: datetime
    as_of: datetime | None
    offline: bool
    floor: Floor

    @property
    def moment(self) -> datetime:
        return self.as_of or self.now

    def floor_of(self, spec: SuiteSpec) -> datetime | None:
        """The date that must not be undercut; whoever gives a date chooses for himself."""
        if self.as_of is not None:
            return None
        known = self.floor.get((spec.archive, spec.suite))
        return known or remembered_date(self.transfer.store, spec)


class Hunt(msgspec.Struct, kw_only=True):
    """The search for one suite's state, as far as it has come.

    asked: labels of the places that were asked, whatever came of it, and whether patiently
    """

    spec: SuiteSpec
    candidates: dict[Digest, Candidate] = msgspec.field(default_factory=dict)
    places: dict[str, Place] = msgspec.field(default_factory=dict)
    asked: dict[str, bool] = msgspec.field(default_factory=dict)
    trouble: list[HomeportError] = msgspec.field(default_factory=list)
    outcomes: dict[Digest, Whole | Incomplete] = msgspec.field(default_factory=dict)
    taken: Whole | None = None

    def has_asked(self, place: Place, *, patient: bool) -> bool:
        before = self.asked.get(place.label)
        return before is not None and (before or not patient)

    def add(self, place: Place, found: Candidate | HomeportError) -> None:
        if isinstance(found, Candidate):
            self.places[place.label] = place
            self.candidates.setdefault(found.digest, found)
        else:
            self.trouble.append(found)

    @property
    def newest_first(self) -> list[Candidate]:
        return sorted(self.candidates.values(), key=lambda c: c.release.date, reverse=True)


def first_look(run: Run, spec: SuiteSpec) -> Hunt:
    """The suite under its own name on the first mirror that has it, signed."""
    hunt = Hunt(spec=spec)
    if run.offline:
        for candidate in remembered(run.transfer.store, spec):
            hunt.add(candidate.place, candidate)
        if not hunt.candidates:
            hunt.trouble.append(
                NotCached(f"the cache has no state of {spec}", hint="run it once without --offline")
            )
        return hunt
    mirrors = run.mirrors.of(spec.archive)
    for mirror in mirrors:
        place = place_of(spec, mirror, spec.suite)
        patient = len(mirrors) == 1
        hunt.asked[place.label] = patient
        hunt.add(place, _look(run, spec, place, hasty=not patient))
        if hunt.candidates:
            break
    return hunt


def _look(run: Run, spec: SuiteSpec, place: Place, *, hasty: bool) -> Candidate | HomeportError:
    run.transfer.cancel.check()
    try:
        return read_candidate(spec, place, hasty=hasty)
    except TROUBLE as error:
        return error


def hunt_state(run: Run, hunt: Hunt) -> Hunt:
    """Take the first look's state if it is good, else look everywhere."""
    if not run.offline:
        _take_newest(run, hunt)
        if hunt.taken is None:
            known = len(hunt.places)
            _look_everywhere(run, hunt, run.mirrors.of(hunt.spec.archive))
            if len(hunt.places) > known:
                hunt.outcomes.clear()  # what was missing may be had elsewhere
    if hunt.taken is None:
        _take_newest(run, hunt)
    if hunt.taken is None and run.as_of is not None and not run.offline:
        for snapshots in run.mirrors.former_states(hunt.spec.archive, run.as_of):
            _look_everywhere(run, hunt, snapshots)
        _take_newest(run, hunt)
    return hunt


def _look_everywhere(run: Run, hunt: Hunt, mirrors: Sequence[Mirror]) -> None:
    """Read the suite's release files under all its names on all mirrors.

    While there is no candidate at all, everybody is asked once more, now patiently.
    """
    spec = hunt.spec
    patient = not hunt.candidates
    others = dict.fromkeys(
        name
        for candidate in hunt.candidates.values()
        for name in other_names(spec, candidate.release)
    )
    places = [place_of(spec, mirror, name) for mirror in mirrors for name in (spec.suite, *others)]
    unseen = [place for place in places if not hunt.has_asked(place, patient=patient)]
    looks = [partial(_look, run, spec, place, hasty=not patient) for place in unseen]
    found = run_all(run.pools.network, looks)
    hunt.asked |= {place.label: patient for place in unseen}
    codenames = {candidate.release.codename for candidate in hunt.candidates.values()}
    for place, candidate in zip(unseen, found, strict=True):
        if isinstance(candidate, Candidate) and _is_alias_of_another(spec, candidate, codenames):
            continue
        hunt.add(place, candidate)


def _is_alias_of_another(spec: SuiteSpec, candidate: Candidate, codenames: set[str]) -> bool:
    """An alias moves on to the next release one day; then it is another suite."""
    return candidate.place.folder != spec.suite and candidate.release.codename not in codenames


def _take_newest(run: Run, hunt: Hunt) -> None:
    """Take the newest whole state that is valid, unless all are older than the floor."""
    floor = run.floor_of(hunt.spec)
    candidates = hunt.newest_first
    if floor is not None and candidates and candidates[0].release.date < floor:
        return
    for candidate in candidates:
        if validity(run, candidate) is not None:
            continue
        outcome = _weigh(run, hunt, candidate)
        if isinstance(outcome, Whole):
            hunt.taken = outcome
            return


def validity(run: Run, candidate: Candidate) -> HomeportError | None:
    try:
        check_dates(candidate.release, run.moment)
    except (Expired, FromTheFuture) as error:
        return error
    if candidate.trusted_until is not None and run.moment > candidate.trusted_until:
        return KeyExpired(
            f"the keys that signed {candidate.release.title} expired on "
            f"{candidate.trusted_until:%Y-%m-%d}",
            hint="a newer Homeport, or the recipe, may know newer keys",
        )
    return None


def _weigh(run: Run, hunt: Hunt, candidate: Candidate) -> Whole | Incomplete:
    """Whether a state is whole; fetches its indexes."""
    if candidate.digest not in hunt.outcomes:
        elsewhere = [
            place for place in hunt.places.values() if place.label != candidate.place.label
        ]
        hunt.outcomes[candidate.digest] = collect(
            candidate, run.architectures, elsewhere, run.transfer, run.pools
        )
    return hunt.outcomes[candidate.digest]


def weigh_all(run: Run, hunt: Hunt) -> None:
    """Before refusing: find out what could be had with ``--as-of``."""
    if not run.offline:
        _look_everywhere(run, hunt, run.mirrors.of(hunt.spec.archive))
    for candidate in hunt.newest_first:
        if candidate.release.date <= run.now:
            _weigh(run, hunt, candidate)


def failed(run: Run, hunt: Hunt) -> Failed:
    return Failed(
        spec=hunt.spec,
        taken=hunt.taken,
        candidates=tuple(hunt.newest_first),
        outcomes=dict(hunt.outcomes),
        invalid={
            candidate.digest: error
            for candidate in hunt.candidates.values()
            if (error := validity(run, candidate)) is not None
        },
        trouble=tuple(hunt.trouble),
        floor=run.floor_of(hunt.spec),
        architectures=run.architectures,
        as_of=run.as_of,
        offline=run.offline,
    )
