"""Release files: the files that an archive signs for a suite, and their validity.

``parse_release`` reads signed text (``debian.archive.signature`` gives it); ``check_dates`` holds
the Date and Valid-Until rules. Not for choosing among several states (``debian.archive.state``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

from homeport.content.digest import Digest
from homeport.debian.deb822 import Field, Malformed, Paragraph, parse_paragraph
from homeport.debian.listed_file import ListedFile
from homeport.errors import HomeportError

MAX_RELEASE = 16 << 20  # bytes; sid's, the largest of Debian, has 0.2 MB
_FUTURE = timedelta(seconds=10)  # how far clocks may differ, as in apt
_ENTRY = re.compile(r"([0-9a-f]+)\s+(\d{1,15})\s+(\S+)")
#: Strongest first. MD5 and SHA-1 are not accepted, even if the archive lists nothing else.
_SECTIONS = (("SHA256", "sha256", 64), ("SHA512", "sha512", 128))


class BadRelease(HomeportError):
    """A signed release file lacks a required field or has an invalid one."""

    id = "bad-release"


class Expired(HomeportError):
    """A release file is past its Valid-Until: the mirror may withhold newer ones."""

    id = "release-expired"


class KeyExpired(HomeportError):
    """Every certificate that signed a release file has expired."""

    id = "key-expired"


class ReleaseNotYetValid(HomeportError):
    """A release file is dated after the moment at which it is judged."""

    id = "release-not-yet-valid"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The signed text of a suite.

    digest:      of the signed text; one state has one, wherever and under whatever name
                 it is served
    lists_all:   packages of architecture ``all`` are in an index of their own and not
                 repeated in those of the architectures
    not_automatic: apt would not take packages from here unless asked to (backports).
                 ``ButAutomaticUpgrades`` beside it is about what is installed already
    """

    digest: Digest
    origin: str
    label: str
    suite: str
    codename: str
    version: str
    date: datetime
    valid_until: datetime | None
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    acquire_by_hash: bool
    lists_all: bool
    not_automatic: bool
    files: Mapping[str, ListedFile]

    def __repr__(self) -> str:
        return f"Release({self.title}, {self.date}, {self.digest}, {len(self.files)} files)"

    @property
    def title(self) -> str:
        """The name of this state for messages: ``trixie 13.8``."""
        return " ".join(part for part in (self.codename or self.suite, self.version) if part)


def parse_release(text: bytes) -> Release:
    """Read the signed text. Raises ``BadRelease`` or ``Malformed`` with the line."""
    paragraph = parse_paragraph(text)
    date = _date(paragraph, "Date")
    if date is None:
        raise BadRelease(
            "the release file has no Date", hint="without a date, the age of the archive is unknown"
        )
    architectures = tuple(paragraph.get("Architectures").split())
    separate_all = paragraph.get("No-Support-for-Architecture-all") != "Packages"
    return Release(
        digest=Digest.of(text),
        origin=paragraph.get("Origin"),
        label=paragraph.get("Label"),
        suite=paragraph.get("Suite"),
        codename=paragraph.get("Codename"),
        version=paragraph.get("Version"),
        date=date,
        valid_until=_date(paragraph, "Valid-Until"),
        architectures=architectures,
        components=tuple(paragraph.get("Components").split()),
        acquire_by_hash=paragraph.get("Acquire-By-Hash").lower() == "yes",
        lists_all="all" in architectures and separate_all,
        not_automatic=paragraph.get("NotAutomatic").lower() == "yes",
        files=_files(paragraph),
    )


def check_dates(release: Release, at: datetime) -> None:
    """Raise ``ReleaseNotYetValid`` or ``Expired`` unless the release is valid at that moment."""
    if release.date > at + _FUTURE:
        raise ReleaseNotYetValid(
            f"{release.title} is dated {_day(release.date)}, after {_day(at)}",
            hint="set this machine's clock, or give a later --as-of",
        )
    if release.valid_until is not None and at > release.valid_until:
        raise Expired(
            f"{release.title} of {_day(release.date)} expired on {_day(release.valid_until)}"
        )


def index_files(
    release: Release, component: str, architecture: str, *, flat: bool = False
) -> list[list[ListedFile]]:
    """The indexes that together list a component's packages for one architecture.

    Each as the forms that the release file lists, smallest first; any will do. Raises
    ``BadRelease`` if the suite has no such component or architecture.
    """
    if flat:
        names = ["Packages"]
    else:
        known = {part.rpartition("/")[2] for part in release.components}
        if release.components and component not in {*known, *release.components}:
            raise BadRelease(
                f"{release.title} has no component {component!r}",
                hint=f"it has {', '.join(sorted(known))}",
            )
        folder = component.rpartition("/")[2] if component not in known else component
        names = [f"{folder}/binary-{architecture}/Packages"]
        if release.lists_all:
            names.append(f"{folder}/binary-all/Packages")
    found = [forms for name in names if (forms := _forms(release, name))]
    if not found:
        listed = ", ".join(name for name in release.architectures if name != "all")
        raise BadRelease(
            f"{release.title} has no packages for {architecture} in {component or 'it'}",
            hint=f"it is built for {listed}" if listed else None,
        )
    return found


def plain_digest(release: Release, form: ListedFile) -> ListedFile | None:
    """The entry of the unpacked index, which archives list and rarely serve."""
    return release.files.get(form.path.removesuffix(".xz").removesuffix(".gz"))


def _forms(release: Release, name: str) -> list[ListedFile]:
    entries = (release.files.get(f"{name}{suffix}") for suffix in (".xz", ".gz", ""))
    return [entry for entry in entries if entry is not None]


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _date(paragraph: Paragraph, name: str) -> datetime | None:
    text = paragraph.get(name)
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise BadRelease(
            f"invalid date {text!r}", where={"line": paragraph.line_of(name), "field": name}
        ) from error


def _files(paragraph: Paragraph) -> dict[str, ListedFile]:
    for name, algorithm, length in _SECTIONS:
        section = paragraph.fields.get(name.lower())
        if section is not None:
            return {entry.path: entry for entry in _entries(section, algorithm, length)}
    raise BadRelease(
        "the release file lists no SHA256 of its files",
        hint="MD5 and SHA-1 can be forged and are not accepted",
    )


def _entries(section: Field, algorithm: str, length: int) -> Iterator[ListedFile]:
    for number, line in enumerate(section.value.split("\n"), section.line):
        if not line.strip():
            continue
        match = _ENTRY.fullmatch(line.strip())
        if match is None or len(match[1]) != length:
            raise Malformed(
                f"expected '{section.name} size path'",
                where={"line": number, "field": section.name},
            )
        path = match[3].removeprefix("./")
        if path.startswith("/") or ".." in path.split("/"):
            raise BadRelease(f"{path!r} leaves the suite's directory", where={"line": number})
        yield ListedFile(path=path, digest=Digest(algorithm, match[1]), size=int(match[2]))
