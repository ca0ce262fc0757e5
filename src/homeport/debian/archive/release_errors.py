"""The error when no state of an archive qualifies: the reason and the alternatives.

Pure: looks at what the search found, uses no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from homeport.content.digest import Digest
from homeport.debian.archive.index_fetch import CompleteState, IncompleteState, MidSync
from homeport.debian.archive.release import Expired, Release
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec, format_as_of
from homeport.errors import HomeportError, IntegrityError

_ONLINE = "run the command once without --offline to update the cache"


class NoCompleteState(MidSync):
    """No state that may be taken is whole for all architectures.

    as_of: a date at which one whole state of all suites would be valid, if there is one
    """

    id = "no-complete-state"

    def __init__(self, what: str, *, as_of: datetime | None, **more: object) -> None:
        super().__init__(what, **more)  # type: ignore[arg-type]  # where and hint
        self.as_of = as_of


class OnlyExpired(Expired):
    """A whole state is there, and it is past its Valid-Until."""

    id = "release-expired"

    def __init__(self, what: str, *, as_of: datetime | None, **more: object) -> None:
        super().__init__(what, **more)  # type: ignore[arg-type]  # where and hint
        self.as_of = as_of


class RolledBack(IntegrityError):
    """Every state found is older than the one that was used before."""

    id = "rolled-back"


class FailedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the search for one suite; ``taken`` if only another suite's search failed.

    as_of:   the moment at which validity is judged, if one was given
    offline: only the cache was looked at
    """

    spec: SuiteSpec
    taken: CompleteState | None
    candidates: tuple[Candidate, ...]
    outcomes: Mapping[Digest, CompleteState | IncompleteState]
    invalid: Mapping[Digest, HomeportError]
    errors: tuple[HomeportError, ...]
    not_before: datetime | None
    architectures: tuple[str, ...]
    as_of: datetime | None = None
    offline: bool = False

    def complete_states(self) -> list[Release]:
        """The states that are whole, valid or not."""
        return [
            candidate.release
            for candidate in self.candidates
            if isinstance(self.outcomes.get(candidate.digest), CompleteState)
        ]


def no_state_error(
    searches: Sequence[FailedSearch], *, now: datetime, command: str
) -> HomeportError:
    """The error for the first suite of which nothing can be taken."""
    search = next(search for search in searches if search.taken is None)
    if not search.candidates:
        return _unreadable(search)
    newest = search.candidates[0].release
    if search.not_before is not None and newest.date < search.not_before:
        return _rolled_back(
            search,
            search.not_before,
            f"{command} --as-of {format_as_of(_latest(newest.date, now))}",
        )
    date = common_date(searches, now)
    way_out = f"{command} --as-of {format_as_of(date)}" if date is not None else None
    incomplete = _newest_incomplete(search)
    if incomplete is not None:
        return _mid_sync(search, incomplete, date, way_out)
    return _invalid(search, date, way_out)


def common_date(searches: Sequence[FailedSearch], now: datetime) -> datetime | None:
    """The latest moment at which every suite has a whole and valid state, whole day if it can."""
    states = [search.complete_states() for search in searches]

    def feasible(moment: datetime) -> bool:
        return moment <= now and all(
            any(_valid(release, moment) for release in releases) for releases in states
        )

    dates = sorted({release.date for releases in states for release in releases}, reverse=True)
    for date in dates:
        if feasible(date):
            evening = _latest(date, now)
            return evening if feasible(evening) else date
    return None


def _valid(release: Release, moment: datetime) -> bool:
    return release.date <= moment and (release.valid_until is None or moment <= release.valid_until)


def _latest(date: datetime, now: datetime) -> datetime:
    """The end of that day, if it is over."""
    day = date.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    evening = day + timedelta(days=1) - timedelta(seconds=1)
    return evening if evening <= now else date


def _rolled_back(search: FailedSearch, not_before: datetime, way_out: str) -> RolledBack:
    newest = search.candidates[0]
    found = "the cache has" if search.offline else "the mirrors have"
    better = _ONLINE if search.offline else "use another mirror"
    return RolledBack(
        f"the newest state of {search.spec} that {found} is of {_day(newest.release.date)}, "
        f"older than the state of {_day(not_before)} that was used before",
        where={"suite": search.spec.suite, "mirror": newest.location.label},
        hint=f"{better}; to use the older one anyway: {way_out}",
    )


def _unreadable(search: FailedSearch) -> HomeportError:
    """No release file could be read: the first mirror's reason; the others in the hint."""
    first, *others = search.errors
    reasons = dict.fromkeys(error.what for error in others if error.what != first.what)
    if reasons:
        hint = f"{first.hint}; " if first.hint else ""
        first.hint = f"{hint}other addresses did not help: {'; '.join(reasons)}"
    elif first.hint is None:
        first.hint = "use another mirror: --mirror URL"
    return first.at(suite=search.spec.suite, archive=search.spec.archive)


def _newest_incomplete(search: FailedSearch) -> IncompleteState | None:
    for candidate in search.candidates:
        outcome = search.outcomes.get(candidate.digest)
        if isinstance(outcome, IncompleteState) and candidate.digest not in search.invalid:
            return outcome
    return None


def _mid_sync(
    search: FailedSearch, incomplete: IncompleteState, date: datetime | None, way_out: str | None
) -> HomeportError:
    if not isinstance(incomplete.error, MidSync):
        error = incomplete.error
        error.hint = " | ".join(filter(None, (error.hint, way_out)))
        return error.at(suite=search.spec.suite, archive=search.spec.archive)
    expired = [release for release in search.complete_states() if release.valid_until is not None]
    more = ""
    if expired:
        older = max(expired, key=lambda release: release.date)
        assert older.valid_until is not None
        more = (
            f"; a complete state of {_day(older.date)} is there, "
            f"but it expired on {_day(older.valid_until)}"
        )
    alternatives = [way_out] if way_out else []
    alternatives.append(_ONLINE if search.offline else "another --mirror")
    good = [name for name in search.architectures if name not in incomplete.architectures]
    if good:
        alternatives.append(f"fewer platforms (complete: {', '.join(good)})")
    if not search.offline:
        alternatives.append("wait until the mirror is in sync")
    return NoCompleteState(
        f"{search.spec}: {incomplete.error.what}{more}",
        as_of=date,
        where={
            **incomplete.error.where,
            "suite": search.spec.suite,
            "architectures": " ".join(incomplete.architectures),
        },
        hint=" | ".join(alternatives),
    )


def _invalid(search: FailedSearch, date: datetime | None, way_out: str | None) -> HomeportError:
    newest = search.candidates[0]
    error = search.invalid[newest.digest]
    if not isinstance(error, Expired):
        if search.as_of is not None:
            reasons = dict.fromkeys(errors.what for errors in search.errors)
            told = f"; of the mirrors tried: {'; '.join(reasons)}" if reasons else ""
            error.hint = f"give a later --as-of, or a snapshot archive that has that day{told}"
        return error.at(suite=search.spec.suite, mirror=newest.location.label)
    hint = "the mirror may be stale, or may withhold newer states: try another --mirror"
    if search.offline:
        hint = _ONLINE
    return OnlyExpired(
        error.what,
        as_of=date,
        where={"suite": search.spec.suite, "mirror": newest.location.label},
        hint=f"{hint} | to use it anyway: {way_out}" if way_out else hint,
    )


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
