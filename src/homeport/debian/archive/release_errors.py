"""Why no state of an archive can be taken, and the ways out, as one error.

Pure: looks at what the search found, asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from homeport.content.digest import Digest
from homeport.debian.archive.index_fetch import Incomplete, MidSync, Whole
from homeport.debian.archive.release import Expired, Release
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec, format_as_of
from homeport.errors import HomeportError, IntegrityError

_ONLINE = "run it once without --offline, which brings the cache up to date"


class NoWholeState(MidSync):
    """No state that may be taken is whole for all architectures.

    as_of: a date at which one whole state of all suites would be valid, if there is one
    """

    id = "no-whole-state"

    def __init__(self, what: str, *, as_of: datetime | None, **place: object) -> None:
        super().__init__(what, **place)  # type: ignore[arg-type]  # where and hint
        self.as_of = as_of


class OnlyExpired(Expired):
    """A whole state is there, and it is past its Valid-Until."""

    id = "release-expired"

    def __init__(self, what: str, *, as_of: datetime | None, **place: object) -> None:
        super().__init__(what, **place)  # type: ignore[arg-type]  # where and hint
        self.as_of = as_of


class RolledBack(IntegrityError):
    """Everything that is offered, or that the cache has, is older than what was used before."""

    id = "rolled-back"


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """What the search for one suite came to; ``taken`` if it succeeded while another did not.

    as_of:   the moment of judging, if one was given
    offline: only the cache was looked at
    """

    spec: SuiteSpec
    taken: Whole | None
    candidates: tuple[Candidate, ...]
    outcomes: Mapping[Digest, Whole | Incomplete]
    invalid: Mapping[Digest, HomeportError]
    trouble: tuple[HomeportError, ...]
    floor: datetime | None
    architectures: tuple[str, ...]
    as_of: datetime | None = None
    offline: bool = False

    def wholes(self) -> list[Release]:
        """The states that are whole, valid or not."""
        return [
            candidate.release
            for candidate in self.candidates
            if isinstance(self.outcomes.get(candidate.digest), Whole)
        ]


def refusal(hunts: Sequence[Failed], *, now: datetime, command: str) -> HomeportError:
    """The error for the first suite of which nothing can be taken."""
    failed = next(hunt for hunt in hunts if hunt.taken is None)
    if not failed.candidates:
        return _unreadable(failed)
    newest = failed.candidates[0].release
    if failed.floor is not None and newest.date < failed.floor:
        return _rolled_back(
            failed, failed.floor, f"{command} --as-of {format_as_of(_latest(newest.date, now))}"
        )
    date = common_date(hunts, now)
    way_out = f"{command} --as-of {format_as_of(date)}" if date is not None else None
    incomplete = _newest_incomplete(failed)
    if incomplete is not None:
        return _mid_sync(failed, incomplete, date, way_out)
    return _invalid(failed, date, way_out)


def common_date(hunts: Sequence[Failed], now: datetime) -> datetime | None:
    """The latest moment at which every suite has a whole and valid state, whole day if it can."""
    states = [hunt.wholes() for hunt in hunts]

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


def _rolled_back(failed: Failed, floor: datetime, way_out: str) -> RolledBack:
    newest = failed.candidates[0]
    offered = "is in the cache" if failed.offline else "is offered"
    better = _ONLINE if failed.offline else "use another mirror"
    return RolledBack(
        f"{failed.spec} {offered} as of {_day(newest.release.date)}, "
        f"older than the state of {_day(floor)} that was used before",
        where={"suite": failed.spec.suite, "mirror": newest.place.label},
        hint=f"{better}; to take the older one on purpose: {way_out}",
    )


def _unreadable(failed: Failed) -> HomeportError:
    """No release file could be read anywhere: the first mirror's reason, all in the hint."""
    first, *others = failed.trouble
    reasons = dict.fromkeys(error.what for error in others if error.what != first.what)
    if reasons:
        hint = f"{first.hint}; " if first.hint else ""
        first.hint = f"{hint}other places did not help: {'; '.join(reasons)}"
    elif first.hint is None:
        first.hint = "use another mirror: --mirror URL"
    return first.at(suite=failed.spec.suite, archive=failed.spec.archive)


def _newest_incomplete(failed: Failed) -> Incomplete | None:
    for candidate in failed.candidates:
        outcome = failed.outcomes.get(candidate.digest)
        if isinstance(outcome, Incomplete) and candidate.digest not in failed.invalid:
            return outcome
    return None


def _mid_sync(
    failed: Failed, incomplete: Incomplete, date: datetime | None, way_out: str | None
) -> HomeportError:
    if not isinstance(incomplete.error, MidSync):
        error = incomplete.error
        error.hint = " | ".join(filter(None, (error.hint, way_out)))
        return error.at(suite=failed.spec.suite, archive=failed.spec.archive)
    expired = [release for release in failed.wholes() if release.valid_until is not None]
    more = ""
    if expired:
        older = max(expired, key=lambda release: release.date)
        assert older.valid_until is not None
        more = (
            f"; a whole state of {_day(older.date)} is there, "
            f"but it expired on {_day(older.valid_until)}"
        )
    ways = [way_out] if way_out else []
    ways.append(_ONLINE if failed.offline else "another --mirror")
    good = [name for name in failed.architectures if name not in incomplete.architectures]
    if good:
        ways.append(f"fewer platforms ({', '.join(good)} can be had)")
    if not failed.offline:
        ways.append("waiting until the mirror is done")
    return NoWholeState(
        f"{failed.spec}: {incomplete.error.what}{more}",
        as_of=date,
        where={
            **incomplete.error.where,
            "suite": failed.spec.suite,
            "architectures": " ".join(incomplete.architectures),
        },
        hint=" | ".join(ways),
    )


def _invalid(failed: Failed, date: datetime | None, way_out: str | None) -> HomeportError:
    newest = failed.candidates[0]
    error = failed.invalid[newest.digest]
    if not isinstance(error, Expired):
        if failed.as_of is not None:
            reasons = dict.fromkeys(trouble.what for trouble in failed.trouble)
            told = f"; of those asked: {'; '.join(reasons)}" if reasons else ""
            error.hint = f"give a later --as-of, or a snapshot archive that has that day{told}"
        return error.at(suite=failed.spec.suite, mirror=newest.place.label)
    hint = "somebody may be holding back newer ones: try another --mirror"
    if failed.offline:
        hint = _ONLINE
    return OnlyExpired(
        error.what,
        as_of=date,
        where={"suite": failed.spec.suite, "mirror": newest.place.label},
        hint=f"{hint} | to use it all the same: {way_out}" if way_out else hint,
    )


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
