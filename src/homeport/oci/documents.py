"""The JSON documents of an image: descriptor, manifest, index, config.

Shapes as in the OCI image specification 1.1 ("descriptor", "manifest", "image-index",
"config"); Docker's schema 2 documents have the same fields. What is received keeps its
bytes beside what was parsed (``Document``), and those bytes travel on. What Homeport
writes is encoded by ``encode``: the declared order of fields, no blanks, no HTML
escapes, so that the same values are the same bytes.

No disk, no network, no tar.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.oci import media_types
from homeport.oci.platform import Platform

#: What registries must accept, and no more (distribution spec, "Pushing Manifests").

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20

#: An empty list that is written nevertheless, since the specification requires the field.
_REQUIRED_LIST: Any = msgspec.field(default_factory=lambda: ())  # a plain () would be left out
_NULL = msgspec.Raw(b"null")


class BadDocument(HomeportError):
    """Bytes that were to be an image document are not one."""

    id = "bad-document"


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A reference to content by digest, size (bytes) and media type."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    data: str = ""
    artifact_type: str = ""
    platform: Platform | None = None

    @property
    def parsed_digest(self) -> Digest:
        """The digest, checked (``UsageError`` if it is none)."""
        return Digest.parse(self.digest)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One image of one platform, or an artifact."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...] = _REQUIRED_LIST
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Several manifests under one digest, usually one per platform."""

    schema_version: int
    media_type: str = ""
    artifact_type: str = ""
    manifests: tuple[Descriptor, ...] = _REQUIRED_LIST
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="pascal"):
    """How a container of the image starts (image spec, "config", field ``config``)."""

    user: str = ""
    exposed_ports: dict[str, dict[str, str]] = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, str]] = {}
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""


class RootFs(msgspec.Struct, frozen=True, kw_only=True):
    """Digests of the uncompressed layers, lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What made a layer, for people."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={
        "os_version": "os.version", "os_features": "os.features",
    }
):  # fmt: skip
    """An image's configuration; its digest is the image's id in docker."""

    created: str = ""
    author: str = ""
    architecture: str = ""
    os: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""
    config: RunConfig = RunConfig()
    rootfs: RootFs = msgspec.field(default_factory=lambda: RootFs(type="layers"))
    history: tuple[History, ...] = ()

    @property
    def platform(self) -> Platform:
        return Platform(
            os=self.os, architecture=self.architecture, variant=self.variant,
            os_version=self.os_version, os_features=self.os_features,
        ).normalized()  # fmt: skip


T = TypeVar("T", Manifest, Index, ImageConfig)


class Document(msgspec.Struct, Generic[T], frozen=True):
    """A document as it was received or written: its bytes, and what they say."""

    raw: bytes
    parsed: T
    media_type: str
    digest: Digest

    @property
    def size(self) -> int:
        return len(self.raw)

    def descriptor(self, **more: Any) -> Descriptor:
        """A descriptor of this document; ``more`` are its other fields (platform, annotations)."""
        return Descriptor(
            media_type=self.media_type, digest=str(self.digest), size=len(self.raw), **more
        )


def encode(value: msgspec.Struct) -> bytes:
    """The one JSON form in which Homeport writes ``value``."""
    return msgspec.json.encode(value)


def written(value: T, media_type: str) -> Document[T]:
    """A new document of ours."""
    raw = encode(value)
    return Document(raw, value, media_type, Digest.of(raw))


def read_manifest_or_index(
    raw: bytes, media_type: str = "", expected: Digest | None = None
) -> Document[Manifest] | Document[Index]:
    """Parse a received manifest or index.

    ``media_type`` is the type that the transport gave, if anything; the document's own
    ``mediaType`` must agree. A document with the fields of both kinds is refused: two
    readers could see two images (image spec, "manifest", field ``layers``; CVE-2021-41190).
    Raises ``BadDocument``, ``IntegrityError``, ``TooLarge``.
    """
    if len(raw) > MANIFEST_LIMIT:
        raise TooLarge(f"the manifest is larger than {MANIFEST_LIMIT} bytes")
    digest = Digest.of(raw, expected.algorithm if expected else "sha256")
    if expected is not None and digest != expected:
        raise IntegrityError(f"the manifest has digest {digest}, expected {expected}")
    shape = _decode(raw, _SHAPE_DECODER, "manifest")
    kind = _kind(shape, media_type)
    if kind in media_types.INDEXES:
        return Document(raw, _decode(raw, _INDEX_DECODER, "index"), kind, digest)
    return Document(raw, _decode(raw, _MANIFEST_DECODER, "manifest"), kind, digest)


def read_config(
    raw: bytes, media_type: str, expected: Digest | None = None
) -> Document[ImageConfig]:
    """Parse an image's configuration; a field that is null is one that is not there.

    Docker writes null for every empty list and map. Raises ``BadDocument``,
    ``IntegrityError``, ``TooLarge``.
    """
    if len(raw) > CONFIG_LIMIT:
        raise TooLarge(f"the image's config is larger than {CONFIG_LIMIT} bytes")
    digest = Digest.of(raw, expected.algorithm if expected else "sha256")
    if expected is not None and digest != expected:
        raise IntegrityError(f"the config has digest {digest}, expected {expected}")
    try:
        parsed = msgspec.convert(_without_nulls(msgspec.json.decode(raw)), ImageConfig)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadDocument(f"the config is not valid: {error}") from error
    return Document(raw, parsed, media_type, digest)


class _Shape(msgspec.Struct, rename="camel"):
    """The fields that tell one kind of document from another."""

    schema_version: int = 0
    media_type: str = ""
    config: msgspec.Raw = _NULL
    layers: msgspec.Raw = _NULL
    manifests: msgspec.Raw = _NULL
    fs_layers: msgspec.Raw = _NULL


# Made before threads start (docs/decisions/decoders.md).
_SHAPE_DECODER = msgspec.json.Decoder(_Shape)
_INDEX_DECODER = msgspec.json.Decoder(Index)
_MANIFEST_DECODER = msgspec.json.Decoder(Manifest)
_CONFIG_DECODER = msgspec.json.Decoder(ImageConfig)  # for ``convert``, which has no such object


def _kind(shape: _Shape, sent_as: str) -> str:
    sent_as = sent_as.partition(";")[0].strip()
    known = media_types.INDEXES | media_types.MANIFESTS
    if shape.fs_layers != _NULL or shape.schema_version == 1:
        raise BadDocument(
            "the image is of Docker's schema 1, which no current tool writes",
            hint="push it again with a current tool",
        )
    if shape.schema_version != 2:
        raise BadDocument("the document is neither an image manifest nor an index")
    if shape.manifests != _NULL and (shape.config != _NULL or shape.layers != _NULL):
        raise BadDocument("the document is both a manifest and an index")
    is_index = shape.manifests != _NULL
    own = shape.media_type
    if own and sent_as in known and own != sent_as:
        raise BadDocument(f"the document's mediaType is {own}, but the server sent it as {sent_as}")
    kind = own or (sent_as if sent_as in known else "")
    kind = kind or (media_types.OCI_INDEX if is_index else media_types.OCI_MANIFEST)
    if kind not in known:
        raise BadDocument(f"unsupported document type {kind}: not an image")
    if (kind in media_types.INDEXES) != is_index:
        raise BadDocument(f"the document's mediaType is {kind}, but its fields are of another type")
    return kind


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


S = TypeVar("S")


def _decode(raw: bytes, decoder: msgspec.json.Decoder[S], what: str) -> S:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadDocument(f"the {what} is not valid: {error}") from error
