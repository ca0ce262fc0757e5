"""Reading an OCI image layout from named files: which image a tag means, and its parts.

OCI image specification, "image-layout". Tolerant of what skopeo, umoci, buildah, crane,
BuildKit and docker write; strict about what decides the image: ``index.json`` is bounded
and one document, blobs are what their digests say. For a directory (``oci_layout``), a tar
(``oci_archive``) and the half of it that docker writes since 25 (``docker_archive``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.image import (
    Child,
    Image,
    ImageNotFound,
    Index,
    digest_of,
    new_index,
    open_contents,
    open_descriptor,
)
from homeport.images.storage.files import BadLayout, Files, FilesBlob, missing, read_small
from homeport.oci import documents, go_json, media_types
from homeport.oci.documents import MANIFEST_LIMIT, BadDocument, Descriptor
from homeport.oci.reference import DEFAULT_TAG, Reference
from homeport.printable import printable
from homeport.quantities import human_size

REF_NAME = "org.opencontainers.image.ref.name"
#: BuildKit and docker write the full name beside the tag.
CONTAINERD_NAME = "io.containerd.image.name"
#: On lines that refer to another image of the layout: its digest (containerd, buildx).
SUBJECT_ANNOTATION = "io.containerd.manifest.subject"
LAYOUT_FILE = "oci-layout"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE = "index.json"
#: ``index.json`` is not a manifest that a registry must accept: layouts with many tags exist.
INDEX_LIMIT = 64 << 20
#: What an entry is in a layout of ``cosign save``: the image, or what was attached to it.
_COSIGN_KIND = "kind"
_COSIGN_IMAGES = ("dev.cosignproject.cosign/image", "dev.cosignproject.cosign/imageIndex")


class _LayoutFile(msgspec.Struct, rename="camel"):
    image_layout_version: str


_LAYOUT_FILE_DECODER = msgspec.json.Decoder(_LayoutFile)


class LayoutContents(msgspec.Struct, frozen=True):
    """The blobs of a layout, by descriptor (``image.Contents``)."""

    files: Files

    def manifest(self, descriptor: Descriptor) -> bytes:
        digest = digest_of(descriptor)
        name = blob_name(digest)
        with FilesBlob(self.files, name, digest, descriptor.size).open() as stream:
            return stream.read(MANIFEST_LIMIT + 1)

    def blob(self, descriptor: Descriptor) -> Blob:
        digest = digest_of(descriptor)
        return FilesBlob(self.files, blob_name(digest), digest, descriptor.size)


def blob_name(digest: Digest) -> str:
    """Where a layout keeps a blob."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def open_in_layout(files: Files, tag: str, digest: Digest | None = None) -> Image | Index:
    """The image that ``tag`` (empty: the only one, or ``latest``) or ``digest`` means.

    Raises ``BadLayout``, ``ImageNotFound`` naming the tags there are, ``Missing``.
    """
    check_version(files)
    raw, index = read_index(files)
    contents = LayoutContents(files)
    try:
        if digest is not None:
            return _open_digest(contents, index, digest)
        if not tag and _is_itself_the_index(index):
            return open_contents(contents, raw)
        found = _choose(files, index, tag)
        if len(found) == 1:
            return open_descriptor(contents, found[0])
        return new_index([_child(contents, entry) for entry in found])
    except HomeportError as error:
        raise error.at(layout=files.place)  # noqa: B904  the same error, with its place


def check_version(files: Files) -> None:
    """Require the mark of a layout. Raises ``BadLayout``."""
    where = {"file": f"{files.place}/{LAYOUT_FILE}"}
    if files.size(LAYOUT_FILE) is None:
        raise BadLayout(
            f"{files.place} is not an OCI image layout: it has no {LAYOUT_FILE} file", where=where,
            hint="name the directory of a layout, as homeport build or skopeo copy writes it;"
            " files of any other are read by homeport audit",
        )  # fmt: skip
    try:
        raw = read_small(files, LAYOUT_FILE, 1 << 16, f"{files.place}/{LAYOUT_FILE}")
        version = _LAYOUT_FILE_DECODER.decode(raw).image_layout_version
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadLayout(
            f"{files.place}/{LAYOUT_FILE} is not valid: {error}", where=where
        ) from error
    if version.partition(".")[0] != "1":
        raise BadLayout(f"{files.place} is a layout of unknown version {version!r}", where=where)


def read_index(files: Files) -> tuple[bytes, documents.Index]:
    """``index.json`` as it is and what it says. Raises ``BadLayout``."""
    place = f"{files.place}/{INDEX_FILE}"
    if files.size(INDEX_FILE) is None:
        raise BadLayout(
            f"{files.place} has no {INDEX_FILE}",
            where={"file": place},
            hint="the write did not finish; write the image again",
        )
    raw = read_small(files, INDEX_FILE, INDEX_LIMIT, place)
    try:
        index = documents.read_index(raw)
    except BadDocument as error:
        raise BadLayout(f"{place} is not valid: {error.what}", where={"file": place}) from error
    if found := go_json.ambiguities(raw, documents.Index):
        # Which image a tag means must not depend on who reads it.
        raise BadLayout(
            f"{place} has keys that readers understand differently: {printable('; '.join(found))}",
            where={"file": place},
        )
    return raw, index


def index_of_one(descriptor: Descriptor, annotations: dict[str, str]) -> bytes:
    """An ``index.json`` with one line."""
    annotations = {**descriptor.annotations, **annotations}
    entry = msgspec.structs.replace(descriptor, annotations=annotations)
    index = documents.Index(schema_version=2, media_type=media_types.OCI_INDEX, manifests=(entry,))
    return documents.encode(index)


def images_of(index: documents.Index) -> list[Descriptor]:
    """The lines of a layout that are images: not referrers, not what is under cosign's tags."""
    return [
        entry
        for entry in index.manifests
        if SUBJECT_ANNOTATION not in entry.annotations
        and not is_digest_tag(entry.annotations.get(REF_NAME, ""))
    ]


def is_digest_tag(tag: str) -> bool:
    """Whether a tag is not an image's but holds what refers to one, as cosign's tags do."""
    return re.fullmatch(r"(sha256|sha512)-[0-9a-f]{64,128}(\.[A-Za-z0-9._-]+)?", tag) is not None


def name_annotations(name: Reference) -> dict[str, str]:
    """What tells docker, podman and containerd the name of an image that they load."""
    return {CONTAINERD_NAME: str(name), REF_NAME: name.tag}


def tags_of(index: documents.Index) -> list[str]:
    """The tags of a layout's images, in its order, each once."""
    names = (entry.annotations.get(REF_NAME, "") for entry in images_of(index))
    return list(dict.fromkeys(name for name in names if name))


def _child(contents: LayoutContents, entry: Descriptor) -> Child:
    return Child(descriptor=entry, opener=lambda: open_descriptor(contents, entry))


def _choose(files: Files, index: documents.Index, tag: str) -> list[Descriptor]:
    """The entry that is meant, or several that are the platforms of one image."""
    entries = images_of(index)
    if not entries:
        raise ImageNotFound(f"{files.place} holds no image")
    found = _named(index.manifests if tag else entries, tag or DEFAULT_TAG)
    if not found and not tag:
        found = [entry for entry in entries if _COSIGN_KIND not in entry.annotations] or [
            entry for entry in entries if entry.annotations[_COSIGN_KIND] in _COSIGN_IMAGES
        ]
        if len({entry.digest for entry in found}) > 1:
            found = []
    found = list({entry.digest: entry for entry in found}.values())
    if len(found) == 1 or (found and _are_platforms(found)):
        return found
    if found:
        raise BadLayout(
            f"{files.place} has {len(found)} different images with the tag {tag or DEFAULT_TAG}",
            hint=f"choose one by digest, for example {files.place}@{found[0].digest}",
        )
    raise _not_found(files, index, tag)


def _named(entries: Sequence[Descriptor], tag: str) -> list[Descriptor]:
    found = [entry for entry in entries if entry.annotations.get(REF_NAME) == tag]
    return found or [entry for entry in entries if entry.annotations.get(CONTAINERD_NAME) == tag]


def _not_found(files: Files, index: documents.Index, tag: str) -> ImageNotFound:
    known = tags_of(index)
    near = difflib.get_close_matches(tag, known, n=3) or known[:10]
    more = ", …" if len(near) < len(known) else ""
    what = f"no image with the tag {tag!r}" if tag else "several images, and none named latest"
    return ImageNotFound(
        f"{files.place} holds {what}",
        where={"tag": tag or DEFAULT_TAG},
        hint=f"there is {', '.join(near)}{more}"
        if near
        else "its images have no tags: use @digest",
    )


def _is_itself_the_index(index: documents.Index) -> bool:
    """Whether ``index.json`` lists the platforms of one image (apko, ko, Bazel's rules)."""
    entries = images_of(index)
    return len(entries) > 1 and not tags_of(index) and _are_platforms(entries)


def _are_platforms(entries: Sequence[Descriptor]) -> bool:
    """Whether every entry is an image of one platform, each another."""
    platforms = [entry.platform for entry in entries]
    return (
        all(platforms)
        and len(set(platforms)) == len(platforms)
        and all(entry.media_type in media_types.MANIFESTS for entry in entries)
    )


def _open_digest(contents: LayoutContents, index: documents.Index, digest: Digest) -> Image | Index:
    for entry in index.manifests:
        if entry.digest == str(digest):
            return open_descriptor(contents, entry)
    size = contents.files.size(blob_name(digest))
    if size is None:
        raise missing(contents.files, blob_name(digest), digest)
    if size > MANIFEST_LIMIT:
        raise BadDocument(f"{digest} is not a manifest: it has {human_size(size)}")
    descriptor = Descriptor(media_type="", digest=str(digest), size=size)
    return open_descriptor(contents, descriptor)


def lists_attached(files: Files) -> bool:
    """Whether the index of a layout has a line that may be attached to an image."""
    _, index = read_index(files)
    return any(
        SUBJECT_ANNOTATION in entry.annotations
        or entry.artifact_type
        or REF_NAME not in entry.annotations
        or is_digest_tag(entry.annotations[REF_NAME])
        for entry in index.manifests
    )
