"""Opening archives: for every suite the newest state that is whole for all architectures.

A mirror may be in the middle of an update, so that its release file is ahead of some of
its indexes, for days on end. One image index must not mix states, so a state counts only
if every wanted architecture has it. It is looked for where the user's first mirror has
it, then under the suite's other names and on the other mirrors, newest first; what was
taken and what was passed over is said and recorded. Nothing unverified, expired or older
than before is ever taken instead: such an answer is an error with its ways out
(``debian.refusal``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from homeport.content.digest import Digest
from homeport.content.pools import Pools, run_all
from homeport.content.store import Store
from homeport.debian.collect import Incomplete, NotCached, Whole, collect
from homeport.debian.index import MergedIndex
from homeport.debian.mirror import TROUBLE, Mirror, Transfer
from homeport.debian.mirrors import Mirrors
from homeport.debian.refusal import Failed, refusal
from homeport.debian.release import Expired, FromTheFuture, KeyExpired, check_dates
from homeport.debian.remembered import remember, remembered, remembered_date
from homeport.debian.state import (
    ArchiveState,
    Floor,
    NewerState,
    SuiteSpec,
    SuiteState,
    age,
)
from homeport.debian.survey import Candidate, Place, other_names, place_of, read_candidate
from homeport.errors import HomeportError
from homeport.progress import CancelToken, Progress

_ID = "archives"  # of the progress


def open_archives(
    specs: Sequence[SuiteSpec],
    architectures: Sequence[str],
    *,
    mirrors: Mirrors,
    store: Store,
    pools: Pools,
    progress: Progress,
    cancel: CancelToken,
    as_of: datetime | None = None,
    offline: bool = False,
    floor: Floor | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    command: str = "the same command",
) -> ArchiveState:
    """One whole state of every suite, its indexes ready to be asked.

    as_of:   judge validity at this moment and take nothing newer
    floor:   dates that were used before (from a lockfile); without one for a suite, those
             that the cache remembers
    command: what the user typed, for errors that print the command to use instead

    Raises ``NoWholeState``, ``Expired``, ``RolledBack``, ``BadSignature``, ``NetError`` …
    """
    progress.begin(_ID, label="archives")
    run = _Run(
        specs=tuple(specs),
        architectures=tuple(architectures),
        mirrors=mirrors,
        transfer=Transfer(store=store, progress=progress, cancel=cancel),
        pools=pools,
        now=clock(),
        as_of=as_of,
        offline=offline,
        floor=floor or {},
    )
    try:
        state = _open(run, command)
    except BaseException:
        progress.end(_ID, "failed")
        raise
    progress.end(_ID)
    return state


def describe(suite: SuiteState, now: datetime) -> list[str]:
    """What was taken, how old it is and what is newer, for people."""
    name = " ".join(part for part in (suite.codename or suite.suite, suite.version) if part)
    lines = [f"{name} of {suite.date:%Y-%m-%d}, {age(suite.date, now)}, from {suite.read_from}"]
    for newer in suite.newer:
        lines.append(
            f"  not the one of {newer.date:%Y-%m-%d} in {newer.read_from}: {newer.why_not}"
        )
    return lines


def _open(run: _Run, command: str) -> ArchiveState:
    first = run_all(run.pools.network, [partial(_first_look, run, spec) for spec in run.specs])
    hunts = [_hunt(run, survey) for survey in first]
    taken = [hunt.taken for hunt in hunts if hunt.taken is not None]
    if len(taken) < len(hunts):
        for hunt in hunts:
            _weigh_all(run, hunt)
        raise refusal([_failed(run, hunt) for hunt in hunts], now=run.now, command=command)
    for whole in taken:
        remember(run.transfer.store, whole.candidate)
    state = ArchiveState(
        suites=tuple(_suite_state(run, hunt, hunt.taken) for hunt in hunts if hunt.taken),
        indexes={
            architecture: MergedIndex(
                architecture, [part for whole in taken for part in whole.parts(architecture)]
            )
            for architecture in run.architectures
        },
        as_of=run.as_of,
    )
    for suite in state.suites:
        for line in describe(suite, run.now):
            run.transfer.progress.note(_ID, line)
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
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


@dataclass(slots=True, kw_only=True)
class _Hunt:
    """The search for one suite's state, as far as it has come."""

    spec: SuiteSpec
    candidates: dict[Digest, Candidate] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    trouble: list[HomeportError] = field(default_factory=list)
    outcomes: dict[Digest, Whole | Incomplete] = field(default_factory=dict)
    taken: Whole | None = None

    def add(self, place: Place, found: Candidate | HomeportError) -> None:
        if isinstance(found, Candidate):
            self.places[place.label] = place
            self.candidates.setdefault(found.digest, found)
        else:
            self.trouble.append(found)

    @property
    def newest_first(self) -> list[Candidate]:
        return sorted(self.candidates.values(), key=lambda c: c.release.date, reverse=True)


def _first_look(run: _Run, spec: SuiteSpec) -> _Hunt:
    """The suite under its own name on the first mirror that has it, signed."""
    hunt = _Hunt(spec=spec)
    if run.offline:
        for candidate in remembered(run.transfer.store, spec):
            hunt.add(candidate.place, candidate)
        if not hunt.candidates:
            hunt.trouble.append(
                NotCached(f"the cache has no state of {spec}", hint="run it once without --offline")
            )
        return hunt
    for mirror in run.mirrors.of(spec.archive):
        place = place_of(spec, mirror, spec.suite)
        hunt.add(place, _look(run, spec, place))
        if hunt.candidates:
            break
    return hunt


def _look(run: _Run, spec: SuiteSpec, place: Place) -> Candidate | HomeportError:
    run.transfer.cancel.check()
    try:
        return read_candidate(spec, place)
    except TROUBLE as error:
        return error


def _hunt(run: _Run, hunt: _Hunt) -> _Hunt:
    """Take the first look's state if it is good, else look everywhere."""
    if not run.offline:
        _take_newest(run, hunt)
        if hunt.taken is None:
            _look_everywhere(run, hunt, run.mirrors.of(hunt.spec.archive))
            hunt.outcomes.clear()  # what was missing may be had elsewhere
    if hunt.taken is None:
        _take_newest(run, hunt)
    if hunt.taken is None and run.as_of is not None and not run.offline:
        snapshots = tuple(run.mirrors.snapshots_of(hunt.spec.archive, run.as_of))
        if snapshots:
            _look_everywhere(run, hunt, snapshots)
            _take_newest(run, hunt)
    return hunt


def _look_everywhere(run: _Run, hunt: _Hunt, mirrors: Sequence[Mirror]) -> None:
    """Read the suite's release files under all its names on all mirrors."""
    spec = hunt.spec
    others = dict.fromkeys(
        name
        for candidate in hunt.candidates.values()
        for name in other_names(spec, candidate.release)
    )
    places = [place_of(spec, mirror, name) for mirror in mirrors for name in (spec.suite, *others)]
    unseen = [place for place in places if place.label not in hunt.places]
    found = run_all(run.pools.network, [partial(_look, run, spec, place) for place in unseen])
    codenames = {candidate.release.codename for candidate in hunt.candidates.values()}
    for place, candidate in zip(unseen, found, strict=True):
        if isinstance(candidate, Candidate) and _is_alias_of_another(spec, candidate, codenames):
            continue
        hunt.add(place, candidate)


def _is_alias_of_another(spec: SuiteSpec, candidate: Candidate, codenames: set[str]) -> bool:
    """An alias moves on to the next release one day; then it is another suite."""
    return candidate.place.folder != spec.suite and candidate.release.codename not in codenames


def _take_newest(run: _Run, hunt: _Hunt) -> None:
    """Take the newest whole state that is valid, unless all are older than the floor."""
    floor = run.floor_of(hunt.spec)
    candidates = hunt.newest_first
    if floor is not None and candidates and candidates[0].release.date < floor:
        return
    for candidate in candidates:
        if _validity(run, candidate) is not None:
            continue
        outcome = _weigh(run, hunt, candidate)
        if isinstance(outcome, Whole):
            hunt.taken = outcome
            return


def _validity(run: _Run, candidate: Candidate) -> HomeportError | None:
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


def _weigh(run: _Run, hunt: _Hunt, candidate: Candidate) -> Whole | Incomplete:
    """Whether a state is whole; fetches its indexes."""
    if candidate.digest not in hunt.outcomes:
        elsewhere = [
            place for place in hunt.places.values() if place.label != candidate.place.label
        ]
        hunt.outcomes[candidate.digest] = collect(
            candidate, run.architectures, elsewhere, run.transfer, run.pools
        )
    return hunt.outcomes[candidate.digest]


def _weigh_all(run: _Run, hunt: _Hunt) -> None:
    """Before refusing: find out what could be had with ``--as-of``."""
    if not run.offline:
        _look_everywhere(run, hunt, run.mirrors.of(hunt.spec.archive))
    for candidate in hunt.newest_first:
        if candidate.release.date <= run.now:
            _weigh(run, hunt, candidate)


def _failed(run: _Run, hunt: _Hunt) -> Failed:
    return Failed(
        spec=hunt.spec,
        taken=hunt.taken,
        candidates=tuple(hunt.newest_first),
        outcomes=dict(hunt.outcomes),
        invalid={
            candidate.digest: error
            for candidate in hunt.candidates.values()
            if (error := _validity(run, candidate)) is not None
        },
        trouble=tuple(hunt.trouble),
        floor=run.floor_of(hunt.spec),
        architectures=run.architectures,
    )


def _suite_state(run: _Run, hunt: _Hunt, taken: Whole) -> SuiteState:
    candidate, release = taken.candidate, taken.candidate.release
    newer = []
    for other in hunt.newest_first:
        if other.release.date <= release.date:
            break
        outcome = hunt.outcomes.get(other.digest)
        why = _validity(run, other) or (outcome.error if isinstance(outcome, Incomplete) else None)
        newer.append(
            NewerState(
                date=other.release.date,
                read_from=other.place.label,
                why_not=why.what if why else "it was seen later",
            )
        )
    return SuiteState(
        archive=hunt.spec.archive,
        suite=hunt.spec.suite,
        read_as=candidate.place.folder,
        read_from=candidate.place.label,
        codename=release.codename,
        version=release.version,
        date=release.date,
        valid_until=release.valid_until,
        release=candidate.digest,
        signers=candidate.signers,
        newer=tuple(newer),
    )
