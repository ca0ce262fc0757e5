"""What the commands that print parts of an image read: its document, digest, config, tags, a blob.

The image may be at any address. What only a registry can answer cheaply is asked there
(``registry.operations``); every other place is opened as for a copy. Deleting a line of a layout
is here, too: the address decides whether a registry or a directory is changed.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.content.blob import Blob, read_verified
from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.images.address import (
    Address,
    ArchiveAddress,
    DirAddress,
    FileAddress,
    LayoutAddress,
    RegistryAddress,
    StreamAddress,
    parse_source,
)
from homeport.images.copy import tell_of_variants
from homeport.images.image import Image, ImageNotFound, Index, Missing, digest_of, walk
from homeport.images.platforms import choose_image
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.docker_manifest import MANIFEST_FILE, saved_images
from homeport.images.storage.files import DirectoryFiles, Files, FilesBlob
from homeport.images.storage.layout import blob_name, check_version, read_index, tags_of
from homeport.images.transports.oci_layout import remove_lines
from homeport.images.transports.registry import registry_transports
from homeport.images.transports.select import source_for
from homeport.oci.documents import CONFIG_LIMIT
from homeport.oci.platform import Platform
from homeport.registry import operations
from homeport.registry.operations import (
    BlobWritten,
    Deleted,
    ManifestBytes,
    OpenRegistries,
    TagList,
)
from homeport.runtime import Runtime


class ReadAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What a command that reads reaches."""

    runtime: Runtime
    registries: OpenRegistries


class ConfigBytes(msgspec.Struct, frozen=True, kw_only=True):
    """The config of one image or artifact, byte for byte and verified.

    image: digest of the manifest that names it
    """

    image: Digest
    digest: Digest
    media_type: str
    raw: bytes


def read_manifest(text: str, access: ReadAccess, platform: Platform | None = None) -> ManifestBytes:
    """The manifest or index at an address; with ``platform``, the manifest of that image."""
    address = parse_source(text)
    if isinstance(address, RegistryAddress) and platform is None:
        return operations.read_manifest(text, access.registries)
    with opened(address, access) as value:
        tell_of_variants(value, [platform] if platform else [], access.runtime)
        document = (choose_image(value, platform) if platform else value).document
        return ManifestBytes(
            digest=document.digest, content_type=document.media_type, raw=document.raw
        )


def read_digest(text: str, access: ReadAccess, platform: Platform | None = None) -> Digest:
    """The digest of what is at an address; a registry is asked for no document."""
    address = parse_source(text)
    if isinstance(address, RegistryAddress) and platform is None:
        return operations.read_digest(text, access.registries)
    return read_manifest(text, access, platform).digest


def read_image_config(
    text: str, access: ReadAccess, platform: Platform | None = None
) -> ConfigBytes:
    """The config of an image; of an index, as ``choose_image`` chooses. Any bytes will do."""
    with opened(parse_source(text), access) as value:
        tell_of_variants(value, [platform] if platform else [], access.runtime)
        image = choose_image(value, platform)
        descriptor = image.document.parsed.config
        if not descriptor.digest:
            raise ImageNotFound(f"{text} is an artifact without a config")
        digest = digest_of(descriptor)
        raw = read_verified(image.blobs[digest], CONFIG_LIMIT, "the config")
    return ConfigBytes(image=image.digest, digest=digest, media_type=descriptor.media_type, raw=raw)


def list_tags(text: str, access: ReadAccess, *, match: str | None = None) -> TagList:
    """The tags of a repository, a layout or an archive; ``match`` is a glob."""
    address = parse_source(text)
    if isinstance(address, RegistryAddress):
        return operations.list_tags(text, access.registries, match=match)
    tags = _local_tags(address, access.runtime)
    if match is not None:
        tags = [tag for tag in tags if fnmatch.fnmatchcase(tag, match)]
    return TagList(repository=str(address), tags=tuple(tags))


def write_blob(text: str, output: Path | BinaryIO, access: ReadAccess) -> BlobWritten:
    """Verify the blob ``PLACE@DIGEST`` and write it to a file or a stream."""
    address = parse_source(text)
    if isinstance(address, RegistryAddress):
        return operations.write_blob(text, output, access.registries, access.runtime)
    with _local_blob(text, address, access) as blob:
        return operations.write_verified(blob, output)


def delete(text: str, access: ReadAccess, *, with_all_tags: bool = False) -> Deleted:
    """Delete a tag or, with a digest, an image: from a registry, or the line of a layout.

    The blobs of a layout stay until its garbage is collected (``garbage``).
    """
    address = parse_source(text)
    if isinstance(address, RegistryAddress):
        return operations.delete_reference(text, access.registries, with_all_tags=with_all_tags)
    if not isinstance(address, LayoutAddress):
        raise UsageError(
            f"{text}: delete removes from registries and OCI layouts only",
            hint="an archive holds what was saved together: save it again without this image",
        )
    if not address.tag and address.digest is None:
        raise UsageError(f"{text}: a tag or digest is required")
    digest = address.digest
    if with_all_tags and digest is None:
        with opened(address, access) as value:
            digest = value.digest
    before, after = remove_lines(
        address.path, "" if digest else address.tag, digest, access.runtime.cancel
    )
    return Deleted(
        reference=str(address), existed=before != after,
        tags_before=tuple(tags_of(before)), tags_after=tuple(tags_of(after)),
    )  # fmt: skip


@contextmanager
def opened(address: Address, access: ReadAccess) -> Iterator[Image | Index]:
    """What is at an address, with the options of the command for its registry."""
    about = address.reference.registry if isinstance(address, RegistryAddress) else ""
    registry = registry_transports(partial(access.registries, about))
    with source_for(address, registry).open(access.runtime) as value:
        yield value


def _local_tags(address: Address, runtime: Runtime) -> list[str]:
    match address:
        case LayoutAddress():
            return _layout_tags(DirectoryFiles(address.path))
        case ArchiveAddress(path=path) | FileAddress(path=path):
            return _archive_tags(path, runtime)
        case StreamAddress():
            return _archive_tags(None, runtime)
        case DirAddress():
            raise UsageError(f"{address} holds one image without a tag")
        case _:
            engine = address.scheme.partition("-")[0].replace("containers", "podman")
            raise UsageError(
                f"{address}: a local engine lists its images itself", hint=f"{engine} image ls"
            )


def _layout_tags(files: Files) -> list[str]:
    check_version(files)
    return tags_of(read_index(files)[1])


def _archive_tags(path: Path | None, runtime: Runtime) -> list[str]:
    with open_archive(path, runtime) as files:
        if files.size(MANIFEST_FILE) is None:
            return _layout_tags(files)
        return list(dict.fromkeys(tag for one in saved_images(files) for tag in one.repo_tags))


@contextmanager
def _local_blob(text: str, address: Address, access: ReadAccess) -> Iterator[Blob]:
    digest: Digest | None = getattr(address, "digest", None)
    if digest is None:
        raise UsageError(f"{text}: a digest is required", hint="write PLACE@sha256:…")
    if isinstance(address, LayoutAddress):
        yield _file_blob(DirectoryFiles(address.path), digest)
        return
    if isinstance(address, ArchiveAddress):
        with open_archive(address.path, access.runtime) as files:
            if files.size(blob_name(digest)) is not None:
                yield _file_blob(files, digest)
                return
    with opened(_whole(address), access) as value:
        for node in walk(value):
            found = node.blobs.get(digest) if isinstance(node, Image) else None
            if found is not None:
                yield found
                return
    raise Missing(f"{address} lacks the blob {digest}", where={"digest": str(digest)})


def _file_blob(files: Files, digest: Digest) -> Blob:
    name = blob_name(digest)
    size = files.size(name)
    if size is None:
        raise Missing(f"{files.place} lacks the blob {digest}", where={"digest": str(digest)})
    return FilesBlob(files, name, digest, size)


def _whole(address: Address) -> Address:
    """The address without its digest, which is a blob's."""
    return msgspec.structs.replace(address, digest=None)
