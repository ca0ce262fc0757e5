"""The lockfile as data: what a recipe resolved to, and from which archive state.

Its text is read by ``recipe.lock.reading`` and written by ``recipe.lock.writing``
(docs/formats/lockfile.md). How a recipe becomes one is ``homeport.locking``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from homeport.content.digest import Digest
from homeport.debian.package import PackageFile
from homeport.oci.platform import Platform
from homeport.recipe.slices.model import Slice, SliceName, copyright_slice

FORMAT = 1


class LockedSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as its signed release file described it.

    read_as: the name under which it was found, its own or an alias (``stable``)
    release: digest of the signed text
    signers: fingerprints of the keys whose signature was good, sorted
    """

    archive: str
    suite: str
    read_as: str
    codename: str
    date: datetime
    valid_until: datetime | None
    release: Digest
    signers: tuple[str, ...]


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package that puts at least one file in the image of one platform.

    suite:  as the recipe names it
    slices: names of its slices, sorted; empty: the whole package
    """

    file: PackageFile
    suite: str
    source_name: str
    source_version: str
    slices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.file.id.name

    @property
    def version(self) -> str:
        return self.file.id.version

    @property
    def whole(self) -> bool:
        return not self.slices


class AccountNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of the users and groups that packages make and Debian fixes no number of."""

    users: Mapping[str, int] = msgspec.field(default_factory=dict)
    groups: Mapping[str, int] = msgspec.field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.users or self.groups)


NO_NUMBERS = AccountNumbers()


class LockedTree(msgspec.Struct, frozen=True, kw_only=True):
    """What a part gave for one platform: the document that lists it, by digest and size."""

    digest: Digest
    size: int


class LockedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a source package. ``path``: below the archive's root."""

    path: str
    sha256: Digest
    size: int


class LockedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A Debian source package that a part takes: the .dsc first, then what it lists."""

    name: str
    version: str
    archive: str
    suite: str
    files: tuple[LockedFile, ...]


class LockedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part that was built on an engine.

    inputs:    digest of all that decides it (docs/formats/lockfile.md, "Parts")
    root:      packages of its build root; ``None`` for a Dockerfile
    materials: what it is made of besides packages, each with its digest or commit
    outputs:   per platform
    """

    inputs: Digest
    root: Lockfile | None = None
    sources: tuple[LockedSource, ...] = ()
    materials: tuple[str, ...] = ()
    outputs: Mapping[Platform, LockedTree] = msgspec.field(default_factory=dict)


class Lockfile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a build takes from the archives.

    request:   digest of what the recipe asked (docs/formats/lockfile.md, "The request")
    epoch:     seconds since 1970
    platforms: sorted by name; packages sorted by name
    accounts:  the same on all platforms; empty in lockfiles of before they were recorded
    slices:    every definition used, without the ``copyright`` that each package has
    parts:     what was built on an engine, sorted by name
    """

    recipe: str
    request: Digest
    homeport: str
    epoch: int
    as_of: datetime | None = None
    without: tuple[str, ...] = ()
    archives: tuple[LockedSuite, ...]
    platforms: Mapping[Platform, tuple[LockedPackage, ...]]
    accounts: AccountNumbers = NO_NUMBERS
    slices: Mapping[SliceName, Slice] = msgspec.field(default_factory=dict)
    parts: Mapping[str, LockedPart] = msgspec.field(default_factory=dict)

    @property
    def date(self) -> datetime:
        """The newest date of its suites: the moment to ask a snapshot archive for."""
        return max(suite.date for suite in self.archives)

    def suite_dates(self) -> dict[tuple[str, str], datetime]:
        """What a later state must not be older than: (archive, suite) → date."""
        return {(suite.archive, suite.suite): suite.date for suite in self.archives}

    def slices_of(self, package: LockedPackage) -> tuple[Slice, ...]:
        """The definitions of the slices taken of ``package``, sorted by name."""
        return tuple(self._slice(package.name, slice) for slice in package.slices)

    def _slice(self, package: str, slice: str) -> Slice:
        name = SliceName(package=package, slice=slice)
        return self.slices.get(name) or copyright_slice(package)


def files_of(lockfile: Lockfile, platforms: Iterable[Platform]) -> tuple[PackageFile, ...]:
    """The packages of some platforms, each once."""
    return tuple(
        dict.fromkeys(
            package.file
            for platform in platforms
            for package in lockfile.platforms.get(platform, ())
        )
    )
