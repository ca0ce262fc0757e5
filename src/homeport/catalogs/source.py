"""What a user names as a catalog: a folder, an artifact of ``catalog push``, a commit of git."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from homeport.errors import UsageError
from homeport.images.address import ArchiveAddress, LayoutAddress, RegistryAddress, parse_source

_FORMS = (
    "a folder (./catalog), an artifact (docker://REGISTRY/NAME:TAG, oci:DIR:TAG), or a git"
    " repository at a commit (https://HOST/REPOSITORY.git@COMMIT, or …@COMMIT#FOLDER)"
)
_ARTIFACTS = ("docker://", "oci:", "oci-archive:")
#: As recipes name repositories (recipe/schema/values.py), a path after ``file://``, and scp's form.
_GIT = re.compile(
    r"(?:git\+)?(?P<url>(?:(?:https?|git|ssh|file)://|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:)[^\s#]+?)"
    r"@(?P<commit>[^@/:#\s]*)(?:#(?P<folder>[^\s]*))?"
)
_GIT_BEGINS = re.compile(r"(?:git\+)|(?:https?|git|ssh|file)://|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class BadCatalog(UsageError):
    """What is named as a catalog is none."""

    id = "bad-catalog"


class FolderSource(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of this machine."""

    path: Path


class ArtifactSource(msgspec.Struct, frozen=True, kw_only=True):
    """What ``homeport catalog push`` wrote."""

    address: RegistryAddress | LayoutAddress | ArchiveAddress


class GitSource(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of a repository, by its whole hash, so that it is the same files each time.

    folder: that has the catalog; empty: the top
    """

    url: str
    commit: str
    folder: str = ""


CatalogSource = FolderSource | ArtifactSource | GitSource


def parse_catalog(written: str) -> CatalogSource:
    """Read what a user names as a catalog. Raises ``BadCatalog``, ``BadAddress``."""
    if written.startswith(_ARTIFACTS):
        address = parse_source(written)
        assert isinstance(address, RegistryAddress | LayoutAddress | ArchiveAddress)
        return ArtifactSource(address=address)
    path = Path(written).expanduser()
    if path.is_dir():
        return FolderSource(path=path.resolve())
    if _GIT_BEGINS.match(written):
        return _git(written)
    raise BadCatalog(f"the catalog {written!r} is not a folder", hint=f"name {_FORMS}")


def _git(written: str) -> GitSource:
    found = _GIT.fullmatch(written)
    if found is None or not _COMMIT.fullmatch(found["commit"]):
        raise BadCatalog(
            f"the catalog {written!r} does not name a commit by its whole hash",
            hint=f"write {written.removesuffix('@')}@COMMIT, with 40 or 64 digits: a branch or tag"
            " may move",
        )
    folder = (found["folder"] or "").strip("/")
    if folder.startswith("-") or ".." in folder.split("/"):
        raise BadCatalog(f"the catalog {written!r} names an invalid folder: {folder!r}")
    return GitSource(url=found["url"], commit=found["commit"], folder=folder)
