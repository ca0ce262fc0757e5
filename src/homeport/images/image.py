"""What every place of images holds: an Image, or an Index of images.

A value is made of the bytes that were received (``Document``) and of Blobs that can be
opened again and again. Nothing is fetched before it is asked for: an Index of forty
platforms reads the manifests of those that are opened. Every manifest is checked
against its descriptor when it is opened; blobs are checked by their readers
(``content.blob.verified``).

A place that can be read gives a ``Contents``; ``open_contents`` makes values of it. Not for
how a place stores things: that is its transport's affair.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol, TypeGuard, cast

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.reading import read_bounded
from homeport.errors import HomeportError, IntegrityError, TooLarge, UsageError
from homeport.oci import documents, media_types
from homeport.oci.documents import (
    CONFIG_LIMIT,
    MANIFEST_LIMIT,
    BadDocument,
    Descriptor,
    Document,
    ImageConfig,
    Manifest,
    read_config,
    read_manifest_or_index,
    read_odd_config,
)
from homeport.oci.platform import Platform
from homeport.quantities import apart, human_size

#: How deep indexes may be nested; the deepest seen in use is two.
DEPTH_LIMIT = 8
#: How many manifests one image may comprise, all indexes together.
COUNT_LIMIT = 10_000


class ImageNotFound(HomeportError):
    """The place can be read, but holds no such image; what it holds is named."""

    id = "image-not-found"


class Missing(HomeportError):
    """A part that a manifest or an index names is not there; digest and place are named."""

    id = "missing-content"


class Contents(Protocol):
    """A place that can be read by descriptor. Both methods may be called from any thread."""

    def manifest(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest or index, at most ``MANIFEST_LIMIT``; not yet checked.

        Raises ``Missing`` if it is not there.
        """

    def blob(self, descriptor: Descriptor) -> Blob:
        """A config or layer with the descriptor's digest and size, checked when it is read.

        Cheap, and no proof that the content is there: opening it may raise ``Missing``.
        """


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """One image of one platform, or an artifact.

    blobs:    config and layers by digest; non-distributable layers may be absent
    platform: what the index says that listed it, or its config; ``None`` for an artifact
    nondistributable: layers that stay where their ``urls`` point, and how
              to read them from the place of the image, which may hold them, too
    """

    document: Document[Manifest]
    blobs: Mapping[Digest, Blob]
    platform: Platform | None = None
    nondistributable: Mapping[Digest, Callable[[], Blob]] = msgspec.field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        return self.document.digest

    @property
    def is_artifact(self) -> bool:
        """Whether the config is something else than an image's configuration."""
        return self.document.parsed.config.media_type not in media_types.CONFIGS

    def config(self) -> Document[ImageConfig] | None:
        """The verified configuration, or ``None`` for an artifact. Reads the blob each time."""
        if self.is_artifact:
            return None
        raw, digest = self._raw_config()
        return read_config(raw, self.document.parsed.config.media_type, digest)

    def readable_config(self) -> tuple[Document[ImageConfig], tuple[str, ...]] | None:
        """What can be read of the configuration, and the faults of the fields that cannot.

        For commands that show an image; ``None`` for an artifact.
        """
        if self.is_artifact:
            return None
        raw, digest = self._raw_config()
        return read_odd_config(raw, self.document.parsed.config.media_type, digest)

    def _raw_config(self) -> tuple[bytes, Digest]:
        descriptor = self.document.parsed.config
        if descriptor.size > CONFIG_LIMIT:
            raise TooLarge(f"the image's config is larger than {human_size(CONFIG_LIMIT)}")
        digest = digest_of(descriptor)
        with verified(self.blobs[digest], "the config") as stream:
            return read_bounded(stream, CONFIG_LIMIT, "the image's config"), digest

    def platform_in_config(self) -> Platform | None:
        """What the config says; ``None`` if it names no platform, or is not an image's."""
        found = self.readable_config()
        return found[0].parsed.platform if found else None

    def content(self) -> Iterator[Descriptor]:
        """Config and layers, each digest once, in the manifest's order."""
        seen: set[str] = set()
        for descriptor in self.document.parsed.content:
            if descriptor.digest not in seen:
                seen.add(descriptor.digest)
                yield descriptor

    def descriptor(self) -> Descriptor:
        """How an index lists this image."""
        more: dict[str, object] = {"platform": self.platform} if self.platform else {}
        if self.document.parsed.artifact_type:
            more["artifact_type"] = self.document.parsed.artifact_type
        return self.document.descriptor(**more)


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of an index: the descriptor as it stands there, and the way to its content."""

    descriptor: Descriptor
    opener: Callable[[], Image | Index]

    def __eq__(self, other: object) -> bool:
        """Whether it is the same entry; how it is opened does not count."""
        return self.descriptor == other.descriptor if isinstance(other, Child) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.descriptor)

    def __repr__(self) -> str:
        return f"Child(descriptor={self.descriptor!r})"

    @property
    def platform(self) -> Platform | None:
        return self.descriptor.platform

    @property
    def attests(self) -> str:
        """The digest of the image that this entry is an attestation of, or ``""``."""
        if self.descriptor.annotations.get(ATTESTATION_TYPE) == "attestation-manifest":
            return self.descriptor.annotations.get(ATTESTATION_DIGEST, "")
        return ""

    def open(self) -> Image | Index:
        """The verified content. Raises ``Missing``, ``IntegrityError``, ``BadDocument``."""
        return self.opener()


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """Several images under one digest. ``children`` are in the document's order."""

    document: Document[documents.Index]
    children: tuple[Child, ...]

    @property
    def digest(self) -> Digest:
        return self.document.digest

    def descriptor(self) -> Descriptor:
        """How another index lists this one."""
        return self.document.descriptor()


#: Annotations of BuildKit's attestations ("attestation storage" in its documentation).
ATTESTATION_TYPE = "vnd.docker.reference.type"
ATTESTATION_DIGEST = "vnd.docker.reference.digest"


def new_index(
    children: list[Image | Index] | list[Child], *, media_type: str = media_types.OCI_INDEX,
    annotations: Mapping[str, str] | None = None,
) -> Index:  # fmt: skip
    """An index of ours over ``children``, in this order."""
    entries = tuple(child if isinstance(child, Child) else child_of(child) for child in children)
    parsed = documents.Index(
        schema_version=2,
        media_type=media_type,
        manifests=tuple(entry.descriptor for entry in entries),
        annotations=dict(annotations or {}),
    )
    return Index(document=documents.written(parsed, media_type), children=entries)


def child_of(value: Image | Index) -> Child:
    """The entry with which an index lists a value that is at hand."""
    return Child(descriptor=value.descriptor(), opener=lambda: value)


def walk(value: Image | Index) -> Iterator[Image | Index]:
    """``value`` and everything below it, children before parents, each digest once.

    Opens every manifest. Raises ``TooLarge`` past ``COUNT_LIMIT``.
    """
    yield from _walk(value, set())


def open_contents(
    contents: Contents, raw: bytes, media_type: str = "", expected: Descriptor | None = None
) -> Image | Index:
    """The value whose manifest or index is ``raw``; the rest is read from ``contents``.

    ``expected`` is the descriptor that led here; size, digest and type are checked against
    it. The platform of an image that no index lists is read from its config.
    """
    return _open(contents, raw, media_type, expected, depth=0)


def open_descriptor(contents: Contents, descriptor: Descriptor) -> Image | Index:
    """The value that ``descriptor`` (a line of an ``index.json``, say) leads to."""
    return _open_child(contents, descriptor, depth=0)


def digest_of(descriptor: Descriptor) -> Digest:
    """The descriptor's digest; ``BadDocument`` if it is none or the size is impossible."""
    if not 0 <= descriptor.size < 1 << 63:
        raise BadDocument(f"the size {descriptor.size} of {descriptor.digest} is impossible")
    try:
        return Digest.parse(descriptor.digest)
    except UsageError as error:
        raise BadDocument(error.what) from error


def is_index(document: Document[Manifest] | Document[documents.Index]) -> TypeGuard[
    Document[documents.Index]
]:  # fmt: skip
    return document.media_type in media_types.INDEXES


def _walk(value: Image | Index, seen: set[Digest]) -> Iterator[Image | Index]:
    if value.digest in seen:
        return
    seen.add(value.digest)
    if len(seen) > COUNT_LIMIT:
        raise TooLarge(f"the index holds more than {COUNT_LIMIT} manifests")
    if isinstance(value, Index):
        for child in value.children:
            if digest_of(child.descriptor) not in seen:
                yield from _walk(child.open(), seen)
    yield value


def _open_child(contents: Contents, descriptor: Descriptor, depth: int) -> Image | Index:
    digest_of(descriptor)
    if descriptor.size > MANIFEST_LIMIT:
        size, limit = apart(descriptor.size, MANIFEST_LIMIT)
        raise TooLarge(f"the manifest {descriptor.digest} is listed with {size}, more than {limit}")
    raw = contents.manifest(descriptor)
    return _open(contents, raw, descriptor.media_type, descriptor, depth)


def _open(
    contents: Contents, raw: bytes, media_type: str, expected: Descriptor | None, depth: int
) -> Image | Index:
    if depth > DEPTH_LIMIT:
        raise TooLarge(f"indexes are nested more than {DEPTH_LIMIT} deep")
    document = _read(raw, media_type, expected)
    if is_index(document):
        return Index(
            document=document,
            children=tuple(
                Child(descriptor=entry, opener=_opener(contents, entry, depth + 1))
                for entry in document.parsed.manifests
            ),
        )
    manifest = cast("Document[Manifest]", document)
    blobs, nondistributable = _blobs(contents, manifest)
    image = Image(document=manifest, blobs=blobs, nondistributable=nondistributable)
    platform = expected.platform if expected else None
    if platform is None and depth == 0:
        with contextlib.suppress(BadDocument):  # copying needs no config that can be understood
            platform = image.platform_in_config()
    return msgspec.structs.replace(image, platform=platform)


def _opener(contents: Contents, descriptor: Descriptor, depth: int) -> Callable[[], Image | Index]:
    return lambda: _open_child(contents, descriptor, depth)


def _read(
    raw: bytes, media_type: str, expected: Descriptor | None
) -> Document[Manifest] | Document[documents.Index]:
    if expected is None:
        return read_manifest_or_index(raw, media_type)
    if len(raw) != expected.size:
        size, wanted = apart(len(raw), expected.size)
        raise IntegrityError(
            f"the manifest {expected.digest} has {size}, {wanted} were expected",
            where={"digest": expected.digest},
        )
    try:
        return read_manifest_or_index(raw, media_type, digest_of(expected))
    except HomeportError as error:
        raise error.at(digest=expected.digest)  # noqa: B904  the same error, with its place


def _blobs(
    contents: Contents, manifest: Document[Manifest]
) -> tuple[dict[Digest, Blob], dict[Digest, Callable[[], Blob]]]:
    """What belongs to the image, and the non-distributable layers that it only refers to."""
    found: dict[Digest, Blob] = {}
    nondistributable: dict[Digest, Callable[[], Blob]] = {}
    sizes: dict[Digest, int] = {}
    for descriptor in manifest.parsed.content:
        digest = digest_of(descriptor)
        if sizes.setdefault(digest, descriptor.size) != descriptor.size:
            raise BadDocument(
                f"the manifest gives {digest} two sizes, {sizes[digest]} and {descriptor.size}",
                where={"digest": str(manifest.digest)},
            )
        if descriptor.media_type in media_types.NONDISTRIBUTABLE_LAYERS and descriptor.urls:
            nondistributable[digest] = partial(contents.blob, descriptor)
        else:
            found.setdefault(digest, contents.blob(descriptor))
    return found, nondistributable
