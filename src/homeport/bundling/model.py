"""What a bundle for an air gap holds (docs/formats/bundle.md): one OCI layout in a tar archive."""

from __future__ import annotations

from typing import Literal

import msgspec

from homeport.errors import AnswerNo

SCHEMA = "homeport-bundle/v1"
LIST_SCHEMA = "homeport-bundle-list/v1"
LOAD_SCHEMA = "homeport-bundle-load/v1"
#: Refers to an index: the packages that its rebuild kit locks, one layer each.
PACKAGES = "application/vnd.homeport.bundle.packages.v1"
PACKAGE_LAYER = "application/vnd.debian.binary-package"
#: Refers to an index: the source packages of these, and what proves that archives signed them.
SOURCES = "application/vnd.homeport.bundle.sources.v1"
SOURCES_LIST = "application/vnd.homeport.bundle.sources.v1+json"
SOURCES_SCHEMA = "homeport-bundle-sources/v1"
RELEASE_LAYER = "application/vnd.debian.release"
INDEX_LAYER = "application/vnd.debian.sources"
SOURCE_LAYER = "application/vnd.debian.source-file"
#: Lists everything in the bundle, so that one signature is over all of it.
CONTENTS = "application/vnd.homeport.bundle.contents.v1"
CONTENTS_LIST = "application/vnd.homeport.bundle.contents.v1+json"
CONTENTS_NAME = "homeport-bundle-contents"
CONTENTS_SCHEMA = "homeport-bundle-contents/v1"
#: Keys, policies and the like, one layer each, under a name of its own in the layout.
FILES = "application/vnd.homeport.bundle.files.v1"
FILE_LAYER = "application/octet-stream"
FILES_NAME = "homeport-bundle-files"
TITLE = "org.opencontainers.image.title"


Verdict = Literal["verified", "unverified", "none"]


class BadBundle(AnswerNo):
    """An archive that is not a bundle, or one that was changed."""

    id = "bad-bundle"


class ListedSourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a release or a source package lists, by its path there."""

    path: str
    sha256: str
    size: int


class ListedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A source package: the .dsc first, then what it lists."""

    name: str
    version: str
    archive: str
    suite: str
    files: tuple[ListedSourceFile, ...]


class SourceState(msgspec.Struct, frozen=True, kw_only=True):
    """A signed release file, and the indexes of source packages that it lists.

    release, signature: digests of InRelease, or of Release and Release.gpg
    """

    archive: str
    suite: str
    release: str
    signature: str = ""
    indexes: tuple[ListedSourceFile, ...]


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle-sources/v1``: the first layer of an artifact of sources.

    missing: source packages that no archive had, ``NAME VERSION``
    """

    schema: str = SOURCES_SCHEMA
    states: tuple[SourceState, ...]
    sources: tuple[ListedSource, ...]
    missing: tuple[str, ...] = ()


class BundledSources(msgspec.Struct, frozen=True, kw_only=True):
    """Source packages of an image in a bundle.

    size:    bytes of their files
    missing: those that are not there, ``NAME VERSION``
    verdict: in words, whether archives signed what is there; empty where it was just written
    """

    packages: int = 0
    files: int = 0
    size: int = 0
    missing: tuple[str, ...] = ()
    verdict: str = ""


class BundledImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image in a bundle, by the name under which it was read.

    attached: artifacts that came along: signatures, attestations, kits
    packages: how many packages to build it again from; 0 without a rebuild kit
    sources:  of these packages; ``None`` if they were left out
    """

    name: str
    digest: str
    attached: int = 0
    packages: int = 0
    sources: BundledSources | None = None


class BundleResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle/v1``: what was written to ``file``; ``signer`` of its list of contents."""

    schema: str = SCHEMA
    file: str
    size: int
    images: tuple[BundledImage, ...]
    files: tuple[str, ...] = ()
    signer: str = ""


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle-list/v1``: what is in ``file``, each byte of which was verified.

    contents: verdict on the list of contents: ``verified``, ``unverified``, or ``none``
    signers:  whose signatures of the list were verified
    """

    schema: str = LIST_SCHEMA
    file: str
    size: int
    images: tuple[BundledImage, ...]
    files: tuple[str, ...] = ()
    contents: Verdict
    signers: tuple[str, ...] = ()


class LoadedImage(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image of a bundle went. decision: of the policy, ``verified`` or ``unverified``."""

    name: str
    to: str
    digest: str
    decision: str
    sources: BundledSources | None = None


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-bundle-load/v1``: what was loaded from ``file``; ``files`` that were written.

    contents, signers: as of ``ListResult``
    """

    schema: str = LOAD_SCHEMA
    file: str
    images: tuple[LoadedImage, ...]
    files: tuple[str, ...] = ()
    contents: Verdict
    signers: tuple[str, ...] = ()
