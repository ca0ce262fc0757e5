"""Which mirrors are used, and in which order.

Options of this run come first, the machine's configuration last:
``--mirror``, ``HOMEPORT_DEBIAN_MIRROR``, the configuration file, the project file, the recipe, the
machine's apt sources, and only if none of these names a mirror the public one that Debian documents
(docs/debian.md). No mirror is trusted: all files are checked against signatures. Not for
fetching from one (``debian.archive.mirror``).
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from homeport.debian.archive.apt_sources import AptSources
from homeport.debian.archive.bundle_mirror import PREFIX as BUNDLE
from homeport.debian.archive.bundle_mirror import BundleMirror
from homeport.debian.archive.keyring import DEBIAN, DEBIAN_SECURITY, UBUNTU
from homeport.debian.archive.mirror import Mirror, open_mirror
from homeport.errors import HomeportError, UsageError
from homeport.net.client import Client
from homeport.net.credentials import Provider, no_credentials

#: The last resort, documented on <https://deb.debian.org/>; the only module that names it.
PUBLIC = {
    DEBIAN: "http://deb.debian.org/debian",
    DEBIAN_SECURITY: "http://deb.debian.org/debian-security",
    # amd64 and i386; the others are at ports.ubuntu.com/ubuntu-ports, a mirror to be named.
    UBUNTU: "http://archive.ubuntu.com/ubuntu",
}
#: Debian's archive of every former state, documented on <https://snapshot.debian.org/>.
SNAPSHOTS = ("https://snapshot.debian.org/archive/{archive}/{timestamp}",)
#: A snapshot archive copies a few times a day, so for the moment of a release it may have
#: only the state before it. Debian deletes nothing in the day after.
SNAPSHOT_LAG = timedelta(days=1)

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_DEBIAN_SUITE = re.compile(
    r"(?:buster|bullseye|bookworm|trixie|forky|duke|sid|(?:old){0,2}stable|testing|unstable|experimental)"
    r"(?P<part>[-/].*)?"
)


class NoMirror(UsageError):
    """No source names a mirror of an archive."""

    id = "no-mirror"


class MirrorAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A mirror's address as written, and the setting that names it."""

    text: str  # may hold a password
    configured_by: str

    def __repr__(self) -> str:
        return f"MirrorAddress(configured_by={self.configured_by!r})"


class MirrorSources(msgspec.Struct, frozen=True, kw_only=True):
    """All configured mirrors, by source.

    option:      ``--mirror [ARCHIVE=]URL``, repeated; without a name it is for ``debian``
    environment: the process environment; ``HOMEPORT_DEBIAN_MIRROR`` and its like
    configured:  archive → URLs, from the configuration file
    project:     archive → URLs, from the project file
    recipe:      archive → URLs, from the recipe
    apt:         the machine's own sources
    """

    option: Sequence[str] = ()
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    configured: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    project: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    recipe: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    apt: AptSources = msgspec.field(default_factory=AptSources)


class Mirrors(msgspec.Struct, frozen=True, kw_only=True):
    """Opened mirrors by archive, in order, and archives of former states."""

    by_archive: Mapping[str, tuple[Mirror, ...]]
    snapshots: tuple[str, ...] = ()
    client: Client | None = None

    def of(self, archive: str) -> tuple[Mirror, ...]:
        """The mirrors of an archive; none when none is named (offline, for example)."""
        return self.by_archive.get(archive, ())

    def snapshot_mirrors(self, archive: str, *moments: datetime) -> Iterator[tuple[Mirror, ...]]:
        """The archive as it was at these moments, from each snapshot archive.

        An address without ``{timestamp}`` is one like Debian's: ARCHIVE/TIMESTAMP follow.
        Debian's own has Debian's archives only; names of a vendor's private packages are not
        sent there.
        """
        for address in self.snapshots:
            if archive not in (DEBIAN, DEBIAN_SECURITY) and _host(address) == _host(SNAPSHOTS[0]):
                continue
            template = address
            if "{timestamp}" not in address:
                template = f"{address.rstrip('/')}/{{archive}}/{{timestamp}}"
            template = template.replace("{archive}", archive)
            stamps = [f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}" for moment in moments]
            yield tuple(
                open_mirror(template.replace("{timestamp}", stamp), self.client) for stamp in stamps
            )


def mirror_addresses(archive: str, sources: MirrorSources) -> tuple[MirrorAddress, ...]:
    """The mirrors of ``archive``, best first, each address once.

    ``--mirror`` and the variable of the archive are exclusive: no other mirror is used then.
    Otherwise those further down the order follow as fallbacks, the public one only when there is
    no other.
    """
    option = [
        MirrorAddress(text=text, configured_by="--mirror")
        for text in _from_option(archive, sources.option)
    ]
    if asked := option or [*_from_environment(archive, sources.environment)]:
        return _unique(asked)
    found = [
        MirrorAddress(text=text, configured_by="the configuration file")
        for text in sources.configured.get(archive, ())
    ]
    found += [
        MirrorAddress(text=text, configured_by="the project file")
        for text in sources.project.get(archive, ())
    ]
    found += [
        MirrorAddress(text=text, configured_by="the recipe")
        for text in sources.recipe.get(archive, ())
    ]
    found += _security_beside(archive, sources)
    found += _from_apt(archive, sources.apt)
    if not found and archive in PUBLIC:
        found = [MirrorAddress(text=PUBLIC[archive], configured_by="the public mirror")]
    if not found:
        raise NoMirror(
            f"no mirror for the archive {archive!r}",
            hint=f"give --mirror {archive}=URL, or 'mirrors' in the recipe",
        )
    return _unique(found)


def open_mirrors(
    archives: Iterable[str],
    sources: MirrorSources,
    client: Client | None,
    *,
    credentials: Provider = no_credentials,
    snapshots: Sequence[str] = SNAPSHOTS,
) -> Mirrors:
    """Open the mirrors of these archives; nothing is connected yet."""
    opened = {}
    for archive in archives:
        mirrors = []
        for address in mirror_addresses(archive, sources):
            try:
                mirrors.append(_opened(address.text, client, credentials))
            except HomeportError as error:
                error.hint = error.hint or "give an http, https or file URL, or a directory"
                raise error.at(configured_by=address.configured_by) from None
        opened[archive] = tuple(mirrors)
    return Mirrors(by_archive=opened, snapshots=tuple(snapshots), client=client)


def open_bundles(archives: Iterable[str], options: Sequence[str]) -> Mirrors:
    """The bundles among ``--mirror`` alone: what can be used offline."""
    bundles = tuple(
        BundleMirror(Path(option.removeprefix(BUNDLE)))
        for option in options
        if option.startswith(BUNDLE)
    )
    return Mirrors(by_archive=dict.fromkeys(archives, bundles) if bundles else {})


def _opened(text: str, client: Client | None, credentials: Provider) -> Mirror:
    if text.startswith(BUNDLE):
        return BundleMirror(Path(text.removeprefix(BUNDLE)))
    return open_mirror(text, client, credentials)


def _host(address: str) -> str:
    return (urllib.parse.urlsplit(address).hostname or "").rstrip(".").lower()


def _from_option(archive: str, options: Sequence[str]) -> Iterator[str]:
    for option in options:
        name, equals, rest = option.partition("=")
        if option.startswith(BUNDLE):
            yield option  # it has packages of every archive
        elif equals and _NAME.fullmatch(name):
            if name == archive:
                yield rest
        elif archive == DEBIAN:
            yield option


def _from_environment(archive: str, environment: Mapping[str, str]) -> Iterator[MirrorAddress]:
    name = f"HOMEPORT_{re.sub('[^A-Z0-9]', '_', archive.upper())}_MIRROR"
    for text in environment.get(name, "").split():
        yield MirrorAddress(text=text, configured_by=name)


def _security_beside(archive: str, sources: MirrorSources) -> Iterator[MirrorAddress]:
    """Mirrors carry ``debian-security`` beside ``debian``: a mirror of one has both."""
    if archive != DEBIAN_SECURITY:
        return
    named = [
        MirrorAddress(text=text, configured_by="--mirror")
        for text in _from_option(DEBIAN, sources.option)
    ]
    named += _from_environment(DEBIAN, sources.environment)
    for address in named:
        base = address.text.rstrip("/")
        if base.endswith("/debian"):
            yield MirrorAddress(text=f"{base}-security", configured_by=address.configured_by)


def _from_apt(archive: str, apt: AptSources) -> Iterator[MirrorAddress]:
    """The machine's mirrors of Debian, also for suites that it does not use itself."""
    for source in apt.sources:
        parts = [_DEBIAN_SUITE.fullmatch(suite.rstrip("/")) for suite in source.suites]
        if not all(parts) or not parts:
            continue
        security = any(
            part is not None and (part["part"] or "") in ("-security", "/updates") for part in parts
        )
        if archive == (DEBIAN_SECURITY if security else DEBIAN):
            for uri in source.uris:
                if uri.partition(":")[0] in ("http", "https", "file"):
                    yield MirrorAddress(text=uri, configured_by=f"apt's {source.file}")


def _unique(found: Iterable[MirrorAddress]) -> tuple[MirrorAddress, ...]:
    locations: dict[str, MirrorAddress] = {}
    for address in found:
        locations.setdefault(address.text.rstrip("/"), address)
    return tuple(locations.values())
