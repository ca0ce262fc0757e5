"""What the commands for registries do: list, read, delete, tag and check, with typed results.

References are read here; ``open`` gives the registries for the one that a reference names.
Not for the protocol itself (``repository``, ``client``).
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.files import atomic_write
from homeport.content.reading import CHUNK
from homeport.errors import HomeportError, UsageError
from homeport.oci.documents import BadDocument, read_manifest_or_index
from homeport.oci.reference import (
    DEFAULT_REGISTRY,
    Reference,
    check_tag,
    parse_reference,
    registry_name,
)
from homeport.registry.deleting import delete
from homeport.registry.errors import Denied, NotFound, RegistryError, Unauthorized, Unsupported
from homeport.registry.listing import repositories
from homeport.registry.registries import Registries
from homeport.registry.repository import Repository
from homeport.registry.retagging import retag
from homeport.runtime import Runtime

#: The registries of a run, where options may be meant for the one that is named.
OpenRegistries = Callable[[str], Registries]


class TagList(msgspec.Struct, frozen=True, kw_only=True):
    """The tags of a repository, as the registry orders them."""

    repository: str
    tags: tuple[str, ...]


class ManifestBytes(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or index, byte for byte; ``content_type`` is what the registry says it is."""

    digest: Digest
    content_type: str
    raw: bytes

    @property
    def media_type(self) -> str:
        """What the document says it is; of one that is not understood, what the registry says."""
        try:
            return read_manifest_or_index(self.raw, self.content_type).media_type
        except BadDocument:
            return self.content_type


class RepositoryList(msgspec.Struct, frozen=True, kw_only=True):
    """The repositories of a registry that it lists for this login, with its name in front."""

    registry: str
    repositories: tuple[str, ...]


class BlobWritten(msgspec.Struct, frozen=True, kw_only=True):
    """A blob that was verified and written."""

    digest: Digest
    size: int


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted; ``existed`` is false if it was not there.

    tags_before, tags_after: of the repository, where all tags of an image were to go
    """

    reference: str
    existed: bool
    tags_before: tuple[str, ...] | None = None
    tags_after: tuple[str, ...] | None = None

    @property
    def tags_gone(self) -> tuple[str, ...]:
        """The tags that were deleted with the image."""
        after = set(self.tags_after or ())
        return tuple(tag for tag in self.tags_before or () if tag not in after)


class Retagged(msgspec.Struct, frozen=True, kw_only=True):
    """The tags that point to an image now; ``moved`` are those that did not before."""

    repository: str
    digest: Digest
    tags: tuple[str, ...]
    moved: tuple[str, ...]


class PingResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a registry gives access.

    user:   ``None`` without a login, empty for a token
    source: where the login is from
    """

    registry: str
    url: str
    user: str | None
    source: str | None


def list_tags(repository: str, open: OpenRegistries, *, match: str | None = None) -> TagList:
    """The tags of a repository; ``match`` is a glob."""
    reference = _parse(repository, default_tag="")
    try:
        found = open(reference.registry).sources(reference).tags()
    except HomeportError as error:
        raise error.at(registry=reference.registry, repository=reference.repository)  # noqa: B904
    if match is not None:
        found = fnmatch.filter(found, match)
    return TagList(repository=reference.name, tags=tuple(found))


def list_repositories(
    registry: str, open: OpenRegistries, *, match: str | None = None
) -> RepositoryList:
    """The repositories of a registry; ``match`` is a glob over their paths."""
    name = registry_name(registry)
    try:
        found = list(repositories(open(name).registry(name)))
    except (NotFound, Unsupported, Denied, Unauthorized) as error:
        if error.status != 401 or name == DEFAULT_REGISTRY:
            one = f"homeport tags {shlex.quote(name)}/…"
            error.hint = f"many registries list no repositories; name one: {one}"
        raise
    if match is not None:
        found = [path for path in found if fnmatch.fnmatchcase(path, match)]
    return RepositoryList(registry=name, repositories=tuple(f"{name}/{path}" for path in found))


def read_digest(reference: str, open: OpenRegistries) -> Digest:
    """The digest of what a reference names; the registry sends no document if it can do so."""
    parsed = _parse(reference)
    sources = open(parsed.registry).sources(parsed)
    found = sources.manifest_digest(parsed.digest or parsed.tag)
    return found or sources.manifest(parsed.digest or parsed.tag).digest


def read_manifest(reference: str, open: OpenRegistries) -> ManifestBytes:
    """The manifest or index that a reference names."""
    parsed = _parse(reference)
    found = open(parsed.registry).sources(parsed).manifest(parsed.digest or parsed.tag)
    return ManifestBytes(digest=found.digest, content_type=found.media_type, raw=found.raw)


def write_blob(
    reference: str, output: Path | BinaryIO, open: OpenRegistries, runtime: Runtime
) -> BlobWritten:
    """Fetch ``REPOSITORY@DIGEST``, verify it, and write it to a file or a stream."""
    parsed = _parse(reference, default_tag="")
    if parsed.digest is None:
        raise UsageError(f"{reference}: a digest is required", hint="write REPOSITORY@sha256:…")
    repository = open(parsed.registry).sources(parsed)
    blob = repository.fetch_blob_of_unknown_size(
        parsed.digest, runtime.store, progress=runtime.progress
    )
    return write_verified(blob, output)


def write_verified(blob: Blob, output: Path | BinaryIO) -> BlobWritten:
    """Write a blob to a file, whole or not at all, or to a stream; its digest is verified."""
    if isinstance(output, Path):
        with atomic_write(output) as stream:
            _copy(blob, stream)
    else:
        _copy(blob, output)
    return BlobWritten(digest=blob.digest, size=blob.size)


def delete_reference(
    reference: str, open: OpenRegistries, *, with_all_tags: bool = False
) -> Deleted:
    """Delete the tag or the manifest that a reference names; no tag is assumed."""
    parsed = _parse(reference, default_tag="")
    if not parsed.tag and parsed.digest is None:
        raise UsageError(f"{reference}: a tag or digest is required")
    repository = open(parsed.registry).repository(parsed)
    what = parsed.digest or parsed.tag
    if not with_all_tags:
        return Deleted(reference=str(parsed), existed=delete(repository, what))
    before = _tags_or_none(repository)
    existed = delete(repository, what, with_all_tags=True)
    return Deleted(
        reference=str(parsed), existed=existed, tags_before=before,
        tags_after=None if before is None else _tags_or_none(repository),
    )  # fmt: skip


def _tags_or_none(repository: Repository) -> tuple[str, ...] | None:
    """The tags of a repository; empty if it is gone, ``None`` if they may not be listed."""
    try:
        return tuple(repository.tags())
    except NotFound:
        return ()
    except RegistryError:
        return None


def add_tags(
    reference: str, tags: Sequence[str], open: OpenRegistries, *, no_clobber: bool = False
) -> Retagged:
    """Make plain tags of the same repository point to the image that a reference names."""
    parsed = _parse(reference)
    checked = tuple(check_tag(tag) for tag in tags)
    repository = open(parsed.registry).repository(parsed)
    digest, moved = retag(repository, parsed.digest or parsed.tag, checked, no_clobber=no_clobber)
    return Retagged(repository=parsed.name, digest=digest, tags=checked, moved=tuple(moved))


def ping(registry: str, open: OpenRegistries) -> PingResult:
    """Check that a registry gives access, and with which login."""
    name = registry_name(registry)
    opened = open(name).registry(name)
    opened.ping()
    login = opened.auth.login() if opened.auth.requires_login else None
    return PingResult(
        registry=name,
        url=str(opened.base()),
        user=login.username if login else None,
        source=login.source if login else None,
    )


def _parse(text: str, **options: str) -> Reference:
    return parse_reference(text.removeprefix("docker://"), **options)


def _copy(blob: Blob, stream: BinaryIO) -> None:
    with verified(blob) as content:
        while chunk := content.read(CHUNK):
            stream.write(chunk)
    stream.flush()
