"""What a bundle for an air gap holds (docs/formats/bundle.md): one OCI layout in a tar archive."""

from __future__ import annotations

import msgspec

SCHEMA = "homeport-bundle/v1"
LOAD_SCHEMA = "homeport-bundle-load/v1"
#: Refers to an index: the packages that its rebuild kit locks, one layer each.
PACKAGES = "application/vnd.homeport.bundle.packages.v1"
PACKAGE_LAYER = "application/vnd.debian.binary-package"
#: Keys, policies and the like, one layer each, under a name of its own in the layout.
FILES = "application/vnd.homeport.bundle.files.v1"
FILE_LAYER = "application/octet-stream"
FILES_NAME = "homeport-bundle-files"
TITLE = "org.opencontainers.image.title"


class BundledImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a bundle, by the name under which it was read.

    attached: artifacts that came along: signatures, attestations, kits
    packages: how many packages to build it again from; 0 without a rebuild kit
    """

    name: str
    digest: str
    attached: int = 0
    packages: int = 0


class BundleResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle/v1``: what was written to ``file``."""

    schema: str = SCHEMA
    file: str
    size: int
    images: tuple[BundledImage, ...]
    files: tuple[str, ...] = ()


class LoadedImage(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image of a bundle went. decision: of the policy, ``verified`` or ``unverified``."""

    name: str
    to: str
    digest: str
    decision: str


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle-load/v1``: what was loaded from ``file``; ``files`` that were written."""

    schema: str = LOAD_SCHEMA
    file: str
    images: tuple[LoadedImage, ...]
    files: tuple[str, ...] = ()
