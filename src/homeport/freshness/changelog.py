"""Debian changelogs: which entries are newer than a version, and what they fix.

Entries are taken by position, from the top to the first whose version is not above the old
one. A rebuild for stable (``2.9.0-1~deb13u1``) sorts below the entry that it rebuilds, so a
comparison alone would miss what that one fixed; apt-listchanges stops the same way. The text
is a stranger's: bounded, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from homeport.debian.version import Version, parse_version
from homeport.errors import HomeportError
from homeport.freshness.model import ChangelogEntry

#: Bytes of a changelog that are read; the longest of trixie has 3 MB.
LONGEST = 16 << 20
_MOST_ENTRIES = 2000
_MOST_TEXT = 4000
_HEADER = re.compile(r"(\S+) \(([^()\s]+)\)([^;]*);(.*)")
_TRAILER = re.compile(r" -- [^<>]*<[^<>]*>  ?(.+)")
_ID = re.compile(r"\b(CVE-\d{4}-\d{4,9}|GHSA(?:-[0-9a-z]{4}){3}|TEMP-\d{7}-[0-9A-F]{6})\b")
_CLOSES = re.compile(r"closes:\s*((?:bug)?#?\s?\d+(?:,\s*(?:bug)?#?\s?\d+)*)", re.IGNORECASE)
_URGENCY = re.compile(r"urgency=([A-Za-z]+)", re.IGNORECASE)
_TRIMMED = "Older entries have been removed"
#: Weakest first (deb-changelog(5)).
_URGENCIES = ("low", "medium", "high", "emergency", "critical")


class NewEntries(msgspec.Struct, frozen=True, kw_only=True):
    """The entries above a version, newest first.

    begins_at: set if the changelog was cut above that version: the oldest that it has
    """

    entries: tuple[ChangelogEntry, ...]
    begins_at: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(id for entry in self.entries for id in entry.ids))

    @property
    def bugs(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(bug for entry in self.entries for bug in entry.bugs))

    @property
    def urgency(self) -> str:
        """The highest; it is shown and decides nothing."""
        known = [e.urgency for e in self.entries if e.urgency in _URGENCIES]
        return max(known, key=_URGENCIES.index, default="")

    @property
    def since(self) -> datetime | None:
        """When the oldest entry with an id was made, else the oldest."""
        dated = [e for e in self.entries if e.ids] or list(self.entries)
        return min((e.date for e in dated if e.date), default=None)

    @property
    def says_security(self) -> bool:
        """An id, or a suite of the security team in the header of an entry.

        That stays readable after a point release has taken the package into the main archive.
        """
        return any(e.ids or e.distribution.endswith("-security") for e in self.entries)


def new_entries(data: bytes, old: str) -> NewEntries:
    """The entries of a changelog that a user of version ``old`` has not seen."""
    text = data[:LONGEST].decode("utf-8", "replace")
    limit = _version(old)
    found: list[ChangelogEntry] = []
    for entry in _entries(text):
        version = _version(entry.version)
        if version is None or limit is None or version <= limit or len(found) >= _MOST_ENTRIES:
            return NewEntries(entries=tuple(found))
        found.append(entry)
    # The end of the file, and the old version was not met.
    begins = found[-1].version if found and _TRIMMED in text else ""
    return NewEntries(entries=tuple(found), begins_at=begins)


def _entries(text: str) -> Iterator[ChangelogEntry]:
    header: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.split("\n"):
        if header is None:
            header, lines = _HEADER.fullmatch(line.rstrip()), []
            continue
        if trailer := _TRAILER.fullmatch(line.rstrip()):
            yield _entry(header, lines, trailer[1])
            header = None
        elif _HEADER.fullmatch(line.rstrip()):  # an entry without a trailer
            yield _entry(header, lines, "")
            header, lines = _HEADER.fullmatch(line.rstrip()), []
        else:
            lines.append(line)
    if header is not None:
        yield _entry(header, lines, "")


def _entry(header: re.Match[str], lines: list[str], date: str) -> ChangelogEntry:
    text = "\n".join(line.rstrip() for line in lines).strip("\n")
    urgency = _URGENCY.search(header[4])
    bugs = [
        int(number)
        for closes in _CLOSES.finditer(text)
        for number in re.findall(r"\d{1,9}", closes[1])
    ]
    return ChangelogEntry(
        version=header[2],
        distribution=header[3].strip(),
        urgency=urgency[1].lower() if urgency else "",
        date=_date(date),
        text=text[:_MOST_TEXT],
        ids=tuple(dict.fromkeys(_ID.findall(text))),
        bugs=tuple(dict.fromkeys(bugs)),
    )


def _version(text: str) -> Version | None:
    try:
        return parse_version(text)
    except HomeportError:
        return None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
