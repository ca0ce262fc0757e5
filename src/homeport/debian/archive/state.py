"""States of an archive as data: what was asked for, what was taken, what else was seen.

``SuiteState`` is what a lockfile records. Not for finding states
(``debian.archive.release_candidates``, ``debian.archive.archive``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from homeport.content.digest import Digest
from homeport.debian.archive.keyring import Keyring
from homeport.debian.index.index import MergedIndex
from homeport.errors import UsageError

#: (archive, suite) → the Date of the state that was used before.
SuiteDates = Mapping[tuple[str, str], datetime]
_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


class SuiteSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A suite that is needed. One that ends in ``/`` is a flat archive without components."""

    archive: str
    suite: str
    components: tuple[str, ...] = ("main",)
    keyring: Keyring

    @property
    def flat(self) -> bool:
        return self.suite.endswith("/")

    def __str__(self) -> str:
        return self.suite if self.suite.startswith(self.archive) else f"{self.archive} {self.suite}"


class NewerState(msgspec.Struct, frozen=True, kw_only=True):
    """A newer state of a suite that was seen and not taken."""

    date: datetime
    read_from: str
    why_not: str


class SuiteState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a suite that was taken.

    suite:     as it was asked for
    read_as:   the name under which it was found: the same, its codename or its alias
    read_from: address of its InRelease, without a password
    release:   digest of the signed text
    signers:   fingerprints of the keys whose signatures were good, sorted
    not_automatic: its packages are only for those who ask for them (backports)
    newer:     what was seen and is newer, newest first
    """

    archive: str
    suite: str
    read_as: str
    read_from: str
    codename: str
    version: str
    date: datetime
    valid_until: datetime | None
    release: Digest
    signers: tuple[str, ...]
    not_automatic: bool = False
    newer: tuple[NewerState, ...] = ()


class ArchiveState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was opened: one whole state for all architectures.

    as_of: the date at which validity was judged, if one was given
    """

    suites: tuple[SuiteState, ...]
    indexes: Mapping[str, MergedIndex]
    as_of: datetime | None = None

    @property
    def date(self) -> datetime:
        """The newest Date of its suites: when the archive looked like this."""
        return max(suite.date for suite in self.suites)

    @property
    def on_request(self) -> frozenset[tuple[str, str]]:
        """(archive, suite) of those that give only what is asked of them by name."""
        return frozenset((s.archive, s.suite) for s in self.suites if s.not_automatic)

    def suite_dates(self) -> SuiteDates:
        """What a later state must not be older than."""
        return {(suite.archive, suite.suite): suite.date for suite in self.suites}


def parse_as_of(text: str) -> datetime:
    """The moment that ``--as-of`` names: a date (its last second, UTC) or a point in time.

    ``2026-10-30``, ``2026-10-30T08:08:01Z`` and ``20261030T080801Z`` are understood.
    """
    plain = text.strip()
    if match := _TIMESTAMP.fullmatch(plain):
        plain = "{}-{}-{}T{}:{}:{}Z".format(*match.groups())
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError as error:
        raise UsageError(
            f"invalid date {text!r}", hint="give --as-of 2026-10-30 or 2026-10-30T08:08:01Z"
        ) from error
    if len(plain) == len("2026-10-30"):
        moment += timedelta(days=1) - timedelta(seconds=1)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def format_as_of(moment: datetime) -> str:
    """The shortest text that ``parse_as_of`` reads as this moment."""
    day = f"{moment.astimezone(UTC):%Y-%m-%d}"
    if parse_as_of(day) == moment:
        return day
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def age(moment: datetime, now: datetime) -> str:
    """How old, for people: ``today``, ``1 day old``, ``12 days old``."""
    days = (now - moment) // timedelta(days=1)
    if days < 1:
        return "less than a day old"
    return "1 day old" if days == 1 else f"{days} days old"
