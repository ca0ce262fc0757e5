"""A binary package as described in an archive's index, and the index that resolution uses.

Not for opening packages (``debian.deb``) nor for reading whole indexes
(``debian.index``, which implements ``PackageIndex``).
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from homeport.content.digest import Digest
from homeport.debian.deb822 import Paragraph, parse_paragraph
from homeport.debian.relations import (
    BadRelation,
    Dependencies,
    Relation,
    parse_dependencies,
    parse_relations,
)
from homeport.debian.version import Version, parse_version
from homeport.errors import HomeportError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.\-_]*")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
_SOURCE = re.compile(r"([A-Za-z0-9][A-Za-z0-9+.\-_]*)(?:\s*\(([^()\s]+)\))?")


class BadPackage(HomeportError):
    """A package's index stanza is invalid; field and package are named."""

    id = "bad-package"


class PackageId(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Which package: two with the same id and different bytes do not exist in one archive."""

    name: str
    version: str
    architecture: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.architecture}"


class PackageFile(msgspec.Struct, frozen=True, kw_only=True):
    """A package's file in an archive.

    path:    below the archive's root, for example ``pool/main/z/zlib/zlib1g_1.3_amd64.deb``
    archive: the archive's name, for example ``debian`` or ``debian-security``
    """

    id: PackageId
    path: str
    size: int
    sha256: Digest
    archive: str


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One stanza of a Packages index, with the fields that Homeport uses.

    source_name, source_version: the key of security trackers (``Source: NAME (VERSION)``)
    suite:  where the index came from, for example ``trixie-security``
    stanza: the bytes as received
    """

    file: PackageFile
    source_name: str
    source_version: str
    depends: Dependencies
    pre_depends: Dependencies
    provides: tuple[Relation, ...]
    conflicts: tuple[Relation, ...]
    breaks: tuple[Relation, ...]
    multi_arch: str
    essential: bool
    priority: str
    suite: str
    stanza: bytes

    @property
    def id(self) -> PackageId:
        return self.file.id

    @property
    def name(self) -> str:
        return self.file.id.name

    @property
    def version(self) -> Version:
        return parse_version(self.file.id.version)


class PackageIndex(Protocol):
    """All packages of one architecture (and ``all``) in the suites that a recipe names."""

    def named(self, name: str) -> tuple[Package, ...]:
        """Every package of this name, highest version first."""

    def providers(self, virtual: str) -> tuple[Package, ...]:
        """Every package whose Provides names ``virtual``, in byte order of their names."""

    def near_names(self, name: str) -> tuple[str, ...]:
        """Similar names, best first; for messages only."""


def parse_package(stanza: bytes, archive: str, suite: str) -> Package:
    """Read one stanza of a Packages index."""
    fields = None
    try:
        fields = parse_paragraph(stanza)
        return _package(fields, stanza, archive, suite)
    except HomeportError as error:
        name = fields.get("Package", "?") if fields else "?"
        error.at(package=name, suite=suite)
        raise


def _package(fields: Paragraph, stanza: bytes, archive: str, suite: str) -> Package:
    file = _file(fields, archive)
    source = _SOURCE.fullmatch(fields.get("Source", file.id.name))
    if source is None:
        raise BadPackage(f"invalid source name {fields.get('Source')!r}", where={"field": "Source"})
    return Package(
        file=file,
        source_name=source[1],
        source_version=source[2] or file.id.version,
        depends=_dependencies(fields, "Depends"),
        pre_depends=_dependencies(fields, "Pre-Depends"),
        provides=_relations(fields, "Provides"),
        conflicts=_relations(fields, "Conflicts"),
        breaks=_relations(fields, "Breaks"),
        multi_arch=fields.get("Multi-Arch", "no"),
        essential=fields.get("Essential", "no") == "yes",
        priority=fields.get("Priority", "optional"),
        suite=suite,
        stanza=stanza,
    )


def _file(fields: Paragraph, archive: str) -> PackageFile:
    name = _matching(fields, "Package", _NAME)
    version = _required(fields, "Version")
    parse_version(version)
    path = _required(fields, "Filename").removeprefix("./")
    if path.startswith("/") or ".." in path.split("/") or "\\" in path or not path.isprintable():
        # It is appended to the mirror's address and must stay below it.
        raise BadPackage(f"path {path!r} is outside the archive", where={"field": "Filename"})
    size = _required(fields, "Size")
    if not (size.isascii() and size.isdigit() and len(size) < 16):
        raise BadPackage(f"invalid size {size!r}", where={"field": "Size"})
    try:
        sha256 = Digest.parse(f"sha256:{_required(fields, 'SHA256').lower()}")
    except HomeportError as error:
        raise BadPackage(error.what, where={"field": "SHA256"}) from error
    return PackageFile(
        id=PackageId(
            name=name,
            version=version,
            architecture=_matching(fields, "Architecture", _ARCHITECTURE),
        ),
        path=path,
        size=int(size),
        sha256=sha256,
        archive=archive,
    )


def _required(fields: Paragraph, field: str) -> str:
    value = fields.get(field)
    if not value:
        raise BadPackage(f"the package has no {field}", where={"field": field})
    return value


def _matching(fields: Paragraph, field: str, pattern: re.Pattern[str]) -> str:
    value = _required(fields, field)
    if not pattern.fullmatch(value):
        raise BadPackage(f"{value!r} has invalid characters", where={"field": field})
    return value


def _dependencies(fields: Paragraph, field: str) -> Dependencies:
    try:
        return parse_dependencies(fields.get(field, ""))
    except BadRelation as error:
        error.at(field=field)
        raise


def _relations(fields: Paragraph, field: str) -> tuple[Relation, ...]:
    try:
        return parse_relations(fields.get(field, ""))
    except BadRelation as error:
        error.at(field=field)
        raise
