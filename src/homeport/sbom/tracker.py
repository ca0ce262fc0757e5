"""Debian's security tracker: which vulnerabilities concern a source package, and how far they got.

Its JSON (``https://security-tracker.debian.org/tracker/data/json``) maps source package → CVE →
release. Read as data: what a status means for an image is ``sbom.vex``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from homeport.errors import HomeportError

#: Bytes of the tracker's JSON; it had 70 MB in 2026.
LONGEST = 512 << 20


class BadTracker(HomeportError):
    """The text is not the JSON of Debian's security tracker."""

    id = "bad-tracker"
    exit_code = 2


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A vulnerability in one release.

    fixed_version: of the source; ``0``: the release was never affected
    nodsa, nodsa_reason: no advisory will come, and ``ignored``, ``postponed`` or nothing
    """

    status: str = ""
    fixed_version: str = ""
    urgency: str = ""
    nodsa: str = ""
    nodsa_reason: str | None = None


class Vulnerability(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a source package; ``releases`` is written ``[]`` where there are none."""

    description: str = ""
    releases: dict[str, Release] | list[Release] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A vulnerability of a source package in the release that an image is made of."""

    id: str
    release: Release


Tracker = dict[str, dict[str, Vulnerability]]
Status = Literal["not_affected", "affected", "fixed", "under_investigation"]

_TRACKER = msgspec.json.Decoder(Tracker)
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SOURCE = msgspec.json.Decoder(dict[str, Vulnerability])


def read_tracker(data: bytes) -> Tracker:
    """The tracker's JSON. Raises ``BadTracker``."""
    try:
        return _TRACKER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error) from error


def read_sources(data: bytes, sources: Iterable[str]) -> tuple[Tracker, int]:
    """The entries of some sources, and how many sources there are. Raises ``BadTracker``.

    A sixth of the time and half of the memory of ``read_tracker``, for the whole of Debian.
    """
    try:
        raw = _RAW.decode(data)
        found = {name: _SOURCE.decode(raw[name]) for name in sources if name in raw}
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error) from error
    return found, len(raw)


def _bad(error: Exception) -> BadTracker:
    return BadTracker(
        f"this is not the data of Debian's security tracker: {error}",
        hint="take https://security-tracker.debian.org/tracker/data/json",
    )


def known(tracker: Tracker, source: str, codename: str) -> Iterator[Known]:
    """What the tracker says about a source package in a release, sorted by name."""
    for name, entry in sorted(tracker.get(source, {}).items()):
        releases = entry.releases if isinstance(entry.releases, dict) else {}
        release = releases.get(codename)
        if release is not None:
            yield Known(id=name, release=release)
