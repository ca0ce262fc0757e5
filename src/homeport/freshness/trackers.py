"""What security trackers know of sources in their locked versions (``--tracker``).

Three forms, told apart by their first bytes: the JSON of Debian's tracker, OSV's zip of
advisories, debsecan's file. None is signed: they add words, they choose no package. A release
that a tracker does not list is neither safe nor open: it is unknown.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from homeport.content.digest import Digest
from homeport.debian.version import BadVersion, parse_version
from homeport.freshness.model import OpenIssue, TrackerUsed
from homeport.printable import printable
from homeport.quantities import counted, whole_number
from homeport.sbom.tracker import BadTracker, Known, known, read_sources

_MOST_ADVISORIES = 500_000
_ENTRY = b"PK\x01\x02"
_LARGEST_ADVISORY = 4 << 20
_LARGEST_TEXT = 512 << 20
_OLD = timedelta(days=7)
#: Debian's tracker knew 4,900 sources in 2026.
_FEW_SOURCES = 1000
_LARGEST_UNPACKED = 8 << 30  # of all advisories; Debian's had 0.3 GB in 2026
#: What ``zipfile`` raises for archives that are damaged, or made to be.
_BAD_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, NotImplementedError, RuntimeError,
    EOFError, OSError, LookupError, OverflowError,
)  # fmt: skip


class _Package(msgspec.Struct):
    ecosystem: str = ""
    name: str = ""


class _Range(msgspec.Struct):
    events: list[dict[str, Any]] | None = None


class _Affected(msgspec.Struct):
    package: _Package | None = None
    ranges: list[_Range] | None = None
    ecosystem_specific: dict[str, Any] | None = None


class _Advisory(msgspec.Struct):
    """OSV's schema, as far as it is read."""

    id: str = ""
    upstream: list[str] | None = None
    aliases: list[str] | None = None
    affected: list[_Affected] | None = None


_OSV = msgspec.json.Decoder(_Advisory)


class TrackerData(Protocol):
    """Data of a tracker, read for some sources."""

    def issues(self, source: str, version: str, codename: str) -> Iterator[OpenIssue]:
        """What is not fixed in ``version`` of ``source``."""


class Tracker(msgspec.Struct, frozen=True, kw_only=True):
    """A tracker's data and what to say about them."""

    data: TrackerData
    used: TrackerUsed


def read_tracker_data(
    data: bytes,
    source: str,
    sources: Iterable[str],
    *,
    taken: datetime | None,
    now: datetime,
    numbers: Mapping[str, str],
) -> Tracker:
    """Read ``data`` in the form that it has.

    taken:   when it was made, if that is known
    numbers: codename → Debian's number, which OSV uses
    Raises ``BadTracker``.
    """
    wanted = frozenset(sources)
    form: Literal["osv", "debsecan", "debian"]
    found: TrackerData
    if data[:4] == b"PK\x03\x04":
        form, found, note = "osv", _read_osv(data, wanted, numbers), ""
    elif data[:1] == b"\x78" or data.startswith(b"VERSION "):
        form, found, note = "debsecan", _read_debsecan(data, wanted), ""
    else:
        entries, count = read_sources(data, wanted)
        form, found = "debian", _Debian(entries)
        few = count < _FEW_SOURCES
        note = f"it has only {counted(count, 'source')}: is it whole?" if few else ""
    if taken is not None and now - taken > _OLD:
        note = "; ".join(filter(None, (note, f"it is {(now - taken).days} days old")))
    used = TrackerUsed(
        source=source, form=form, digest=str(Digest.of(data)), taken=taken, note=note
    )
    return Tracker(data=found, used=used)


class _Debian:
    def __init__(self, entries: dict[str, Any]) -> None:
        self._entries = entries

    def issues(self, source: str, version: str, codename: str) -> Iterator[OpenIssue]:
        for entry in known(self._entries, source, codename):
            status = _status(entry, version)
            if status:
                release = entry.release
                yield OpenIssue(
                    id=entry.id, source=source, version=version, status=status,
                    fixed=release.fixed_version if status == "fixed" else "",
                    urgency=release.urgency, text=release.nodsa,
                )  # fmt: skip


def _status(entry: Known, version: str) -> str:
    """Empty: this version is not vulnerable."""
    release = entry.release
    if release.status == "open":
        return "open"
    if release.status == "undetermined":
        return "undetermined"
    if release.status != "resolved" or release.fixed_version in ("", "0"):
        return ""
    return "fixed" if _below(version, release.fixed_version) else ""


class _Listed:
    """Issues by source, each with the version that fixes it; empty: none does."""

    def __init__(self, listed: Mapping[tuple[str, str], dict[str, tuple[str, str]]]) -> None:
        self._listed = listed

    def issues(self, source: str, version: str, codename: str) -> Iterator[OpenIssue]:
        for id, (fixed, urgency) in sorted(self._listed.get((source, codename), {}).items()):
            if not fixed or _below(version, fixed):
                yield OpenIssue(
                    id=id, source=source, version=version,
                    status="fixed" if fixed else "open", fixed=fixed, urgency=urgency,
                )  # fmt: skip


def _read_osv(data: bytes, wanted: frozenset[str], numbers: Mapping[str, str]) -> _Listed:
    """Advisories of the ecosystems ``Debian:13`` …; DSA and DEBIAN-CVE names fold into CVEs."""
    by_number = {f"Debian:{number}": name for name, number in numbers.items() if number}
    listed: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    if data.count(_ENTRY) > _MOST_ADVISORIES:  # each takes a kilobyte once it is read
        raise BadTracker(f"more than {_MOST_ADVISORIES} advisories")
    left = _LARGEST_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                if member.file_size > _LARGEST_ADVISORY or not member.filename.endswith(".json"):
                    continue
                left -= member.file_size  # members may share their bytes
                if left < 0:
                    raise BadTracker(f"advisories larger than {_LARGEST_UNPACKED >> 30} GiB")
                _add_advisory(_OSV.decode(archive.read(member)), wanted, by_number, listed)
    except (*_BAD_ZIP, msgspec.DecodeError) as error:
        why = printable(str(error)[:200])
        raise BadTracker(f"this is not a zip of OSV advisories: {why}") from error
    return _Listed(listed)


def _add_advisory(
    advisory: _Advisory,
    wanted: frozenset[str],
    by_number: Mapping[str, str],
    listed: dict[tuple[str, str], dict[str, tuple[str, str]]],
) -> None:
    names = [*(advisory.upstream or ()), *(advisory.aliases or ())]
    own = advisory.id.removeprefix("DEBIAN-")
    ids = [name for name in names if name.startswith("CVE-")] or [own]
    for affected in advisory.affected or ():
        package = affected.package or _Package()
        codename, source = by_number.get(package.ecosystem), package.name
        if codename is None or source not in wanted:
            continue
        events = [event for one in affected.ranges or () for event in one.events or ()]
        fixed = next((str(event["fixed"]) for event in events if "fixed" in event), "")
        urgency = str((affected.ecosystem_specific or {}).get("urgency", ""))
        here = listed.setdefault((source, codename), {})
        for id in ids:
            before = here.get(id, ("", ""))[0]
            here[id] = (fixed or before, urgency)


class _Debsecan:
    """debsecan's file is of one release; what it says holds for the codename that is asked."""

    def __init__(self, listed: Mapping[str, list[tuple[str, str, str, frozenset[str]]]]) -> None:
        self._listed = listed

    def issues(self, source: str, version: str, codename: str) -> Iterator[OpenIssue]:
        for id, urgency, unstable, others in self._listed.get(source, ()):
            if version in others or (unstable and not _below(version, unstable)):
                continue
            yield OpenIssue(
                id=id, source=source, version=version,
                status="fixed" if others else "open", urgency=urgency,
            )  # fmt: skip


def _read_debsecan(data: bytes, wanted: frozenset[str]) -> _Debsecan:
    """``VERSION 1``; names; blank; ``package,index,FLAGS,unstable,others``; blank; sources."""
    if data[:1] == b"\x78":
        data = _inflated(data)
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[0].strip() != "VERSION 1":
        raise BadTracker(f"unknown form of debsecan's file: {lines[0][:40]!r}")
    end = lines.index("", 1) if "" in lines[1:] else len(lines)
    names = [line.split(",", 2)[0] for line in lines[1:end]]
    found: dict[str, list[tuple[str, str, str, frozenset[str]]]] = {}
    for line in lines[end + 1 :]:
        if not line:
            break
        fields = line.split(",", 4)
        if len(fields) < 5 or fields[0] not in wanted:
            continue
        number, flags = whole_number(fields[1]), fields[2]
        if number is None or number >= len(names) or flags[:1] == "B":
            continue
        urgency = {"L": "low", "M": "medium", "H": "high"}.get(flags[1:2], "")
        others = frozenset(fields[4].split())
        found.setdefault(fields[0], []).append((names[number], urgency, fields[3], others))
    return _Debsecan(found)


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _LARGEST_TEXT)
    except zlib.error as error:
        raise BadTracker(f"debsecan's file is damaged: {error}") from error
    if not unpacker.eof:
        raise BadTracker("debsecan's file is truncated, or larger than 512 MiB")
    return text


def _below(version: str, fixed: str) -> bool:
    try:
        return parse_version(version) < parse_version(fixed)
    except BadVersion:
        return False
