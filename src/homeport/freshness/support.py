"""End of security support: of releases, of single packages, of architectures.

From two signed packages of the archive itself, distro-info-data and debian-security-support,
so that no new trust is needed and a mirror without the internet is enough. Where the archive
has neither, releases are looked up in the audit's table (``audit.facts``).
"""

from __future__ import annotations

import csv
import fnmatch
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from homeport.audit.facts import end_of_life
from homeport.content.reading import read_bounded
from homeport.debian.deb.contents import read_contents
from homeport.debian.deb.path_globs import PathGlobs
from homeport.debian.index.index import MergedIndex
from homeport.errors import HomeportError
from homeport.freshness.comparing import Indexes
from homeport.freshness.model import Level, Support
from homeport.freshness.suites import SuiteView
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.fetching import fetch_packages
from homeport.oci.reference import parse_reference

_LONGEST = 4 << 20
_DATES = "distro-info-data"
_PACKAGES = "debian-security-support"
_GLOBS = PathGlobs.of(
    ("/usr/share/distro-info/debian.csv", "/usr/share/debian-security-support/security-support-*")
)
_SOON, _VERY_SOON = timedelta(days=180), timedelta(days=30)


class ReleaseEnd(msgspec.Struct, frozen=True, kw_only=True):
    """When support of a release ends: by the security team, and by the LTS team after it."""

    codename: str
    version: str
    eol: date | None
    lts: date | None


class SupportData(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive says about support.

    ended:   (Debian's number, source) → when, and Debian's words
    limited: pattern of source packages → Debian's words
    source:  the packages that it comes from, for the report
    """

    releases: Mapping[str, ReleaseEnd] = msgspec.field(default_factory=dict)
    ended: Mapping[tuple[str, str], tuple[date | None, str]] = msgspec.field(default_factory=dict)
    limited: Mapping[str, str] = msgspec.field(default_factory=dict)
    source: str = ""

    def number_of(self, codename: str) -> str:
        release = self.releases.get(codename)
        return release.version if release else _NUMBERS.get(codename, "")


#: For archives that have no distro-info-data.
_NUMBERS = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}


def read_support(
    views: Sequence[SuiteView], indexes: Indexes, access: ArchiveAccess
) -> SupportData:
    """The data of these suites; what they lack or what cannot be fetched is left out."""
    architectures = sorted({a for view in views for a in view.parts})
    for architecture in architectures[:1]:
        index = indexes.merged(views, architecture)
        files = _files(index, access)
        return SupportData(
            releases={r.codename: r for r in _releases(files.get("debian.csv", b""))},
            ended={
                (number, source): found
                for name, data in files.items()
                if (number := name.partition("security-support-ended.deb")[2])
                for source, found in _ended(data)
            },
            limited=dict(_limited(files.get("security-support-limited", b""))),
            source=", ".join(n for n in (_DATES, _PACKAGES) if index.named(n)),
        )
    return SupportData()


def release_support(codename: str, data: SupportData, today: date) -> Iterator[Support]:
    """What to say about a release's end; nothing while it is far."""
    name = f"Debian {codename}"
    release = data.releases.get(codename)
    if release is None:
        known = end_of_life(parse_reference(f"debian:{codename}"))
        if known is not None and known.ends - today < _SOON:
            yield _ending(name, known.ends, today, "security support")
        return
    if release.lts is not None and release.lts < today:
        yield _ending(name, release.lts, today, "long term support")
    elif release.eol is not None and release.eol < today:
        until = f" until {release.lts}" if release.lts else ""
        text = (
            f"the security team's support ended on {release.eol}; another team goes on{until}, "
            "for fewer architectures"
        )
        yield Support(level="warning", what=name, text=text, ends=release.lts or release.eol)
    elif release.eol is not None and release.eol - today < _SOON:
        yield _ending(name, release.eol, today, "security support")


def package_support(
    sources: Iterable[str], codename: str, data: SupportData, today: date
) -> Iterator[Support]:
    """Sources whose support ended before the release's, or is limited."""
    number = data.number_of(codename)
    for source in sorted(set(sources)):
        if (found := data.ended.get((number, source))) is not None:
            ends, text = found
            level: Level = "note" if ends is not None and ends > today else "warning"
            yield Support(level=level, what=source, text=f"no security support: {text}", ends=ends)
        for pattern, words in data.limited.items():
            if fnmatch.fnmatchcase(source, pattern):
                text = f"limited security support: {words}"
                yield Support(level="note", what=source, text=text)


def architecture_support(
    views: Sequence[SuiteView], platforms: Mapping[str, str]
) -> Iterator[Support]:
    """Architectures that the recipe builds for and a suite does not list.

    platforms: platform → architecture
    """
    for view in views:
        lost = [p for p, architecture in platforms.items() if architecture in view.dropped]
        if lost:
            text = f"has no packages for {', '.join(lost)} (any more)"
            yield Support(level="error", what=str(view.spec), text=text)


def _ending(name: str, ends: date, today: date, what: str) -> Support:
    if ends < today:
        return Support(level="error", what=name, text=f"{what} ended on {ends}", ends=ends)
    level: Level = "warning" if ends - today < _VERY_SOON else "note"
    return Support(level=level, what=name, text=f"{what} ends on {ends}", ends=ends)


def _files(index: MergedIndex, access: ArchiveAccess) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for name in (_DATES, _PACKAGES):
        for package in index.named(name)[:1]:
            try:
                deb = fetch_packages([package.file], {}, access)[package.file]
                contents = read_contents(
                    deb, _GLOBS, access.runtime.store, expected=package.id,
                    cancel=access.runtime.cancel,
                )  # fmt: skip
                for path, blob in contents.blobs.items():
                    with blob.open() as stream:
                        data = read_bounded(stream, _LONGEST, name)
                    files[path.rpartition(b"/")[2].decode("utf-8", "replace")] = data
            except HomeportError as error:
                access.runtime.progress.note("support", f"warning: {name}: {error.what}")
    return files


def _releases(data: bytes) -> Iterator[ReleaseEnd]:
    """Lines of debian.csv may be short: releases to come have no dates."""
    for row in csv.DictReader(io.StringIO(data.decode("utf-8", "replace"))):
        codename = row.get("series") or ""
        if codename:
            yield ReleaseEnd(
                codename=codename,
                version=row.get("version") or "",
                eol=_date(row.get("eol") or ""),
                lts=_date(row.get("eol-lts") or ""),
            )


def _ended(data: bytes) -> Iterator[tuple[str, tuple[date | None, str]]]:
    """``source  last-version  date  text``."""
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.split(None, 3)
        if len(fields) >= 3 and not line.startswith("#"):
            yield fields[0], (_date(fields[2]), fields[3] if len(fields) > 3 else "")


def _limited(data: bytes) -> Iterator[tuple[str, str]]:
    """``pattern  text``; patterns are of Perl, as ``golang.*``."""
    for line in data.decode("utf-8", "replace").splitlines():
        fields = line.split(None, 1)
        if fields and not line.startswith("#"):
            yield fields[0].replace(".*", "*"), fields[1] if len(fields) > 1 else ""


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None
