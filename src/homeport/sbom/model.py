"""A bill of materials as data: packages, files and components of one platform's image.

It holds no digest of the image, so that it can be kept with a layer: ``Subject`` adds that
when a document is written. Everything is sorted, so equal images give equal documents.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from homeport.oci.platform import Platform

#: What a file of an image came from: a package, or something that the recipe brought.
Origin = Literal["package", "local", "inline", "image", "part", "recipe", "step", "layer"]


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution as ``/etc/os-release`` names it: ``debian``, ``13``, ``trixie``."""

    id: str
    version: str
    name: str = ""
    codename: str = ""

    @property
    def label(self) -> str:
        """As purls and scanners write it: ``debian-13``."""
        return f"{self.id}-{self.version}" if self.version else self.id


class License(msgspec.Struct, frozen=True, kw_only=True):
    """What a package's copyright file declares.

    expression: of SPDX 2.3 (Annex D); empty if the file cannot be read by a program
    texts:      of each ``LicenseRef-`` in it
    comment:    why there is no expression, and where to look instead
    """

    expression: str = ""
    texts: dict[str, str] = msgspec.field(default_factory=dict)
    comment: str = ""


class BillPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A Debian package in the image.

    source_name, source_version: what security trackers go by
    sha256, size, path: of the .deb, and where archives have it; empty if unknown
    archive, suite: where it was locked from; empty if unknown
    depends:        packages of the image that it depends on
    slices:         empty: the whole package
    """

    name: str
    version: str
    architecture: str
    source_name: str
    source_version: str
    maintainer: str = ""
    homepage: str = ""
    sha256: str = ""
    size: int = 0
    path: str = ""
    archive: str = ""
    suite: str = ""
    depends: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    license: License = msgspec.field(default_factory=License)


class BillFile(msgspec.Struct, frozen=True, kw_only=True):
    """A regular file. ``path`` begins with a slash; ``owner`` is the package or the source."""

    path: str
    size: int
    sha1: str
    sha256: str
    origin: Origin
    owner: str = ""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """Software that is not a distribution package, such as a Go module inside a program.

    kind:     ``golang``, ``cargo``, ``pypi``, ``npm``, ``generic``: a type of purl
    location: the file in which it was found
    vendor:   the distribution whose package it is (apk, rpm); part of the purl, not of the name
    architecture, distribution, source: of such a package: its architecture, ``alpine-3.22.1``,
              and what it was built from, where that has another name: scanners match by these
    """

    kind: str
    name: str
    version: str
    location: str = ""
    vendor: str = ""
    architecture: str = ""
    distribution: str = ""
    source: str = ""


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of the build was made from, such as a commit or a source package."""

    name: str
    uri: str


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """All that one platform's image is made of.

    made_from: ``build`` knows every source; ``image`` is what an inspection found
    """

    platform: Platform
    distribution: Distribution | None
    packages: tuple[BillPackage, ...]
    files: tuple[BillFile, ...]
    components: tuple[Component, ...] = ()
    materials: tuple[Material, ...] = ()
    made_from: Literal["build", "image"] = "build"

    def files_by_package(self) -> dict[str, list[BillFile]]:
        """The files of each package by its name, in the bill's order; found in one pass."""
        found: dict[str, list[BillFile]] = {}
        for file in self.files:
            if file.origin == "package":
                found.setdefault(file.owner, []).append(file)
        return found


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The image that a document is about.

    name:    of the recipe or the repository, such as ``dockerfile-copy``
    digest:  ``sha256:…`` of the platform's manifest; empty where it is not known yet
    created: seconds since 1970 (the lockfile's epoch, or the image's ``created``)
    """

    name: str
    digest: str
    created: int


def timestamp(seconds: int) -> str:
    """Seconds since 1970 as every document of ours writes them (RFC 3339, UTC)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
