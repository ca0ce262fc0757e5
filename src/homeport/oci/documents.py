"""The JSON documents of an image: descriptor, manifest, index, config.

Shapes as in the OCI image specification 1.1 ("descriptor", "manifest", "image-index",
"config"); Docker's schema 2 documents have the same fields. What is received keeps its
bytes beside what was parsed (``Document``), and those bytes travel on. They are read as
Go's tools read them (``go_json``). What Homeport
writes is encoded by ``encode``: the declared order of fields, no blanks, no HTML
escapes, so that the same values are the same bytes.

No disk, no network, no tar.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.oci import go_json, media_types
from homeport.oci.platform import Platform
from homeport.quantities import human_size

#: What registries must accept, and no more (distribution spec, "Pushing Manifests").

MANIFEST_LIMIT = 4 << 20
CONFIG_LIMIT = 8 << 20

#: An empty list that is written nevertheless, since the specification requires the field.
_REQUIRED_LIST: Any = msgspec.field(default_factory=lambda: ())  # a plain () would be left out


class BadDocument(HomeportError):
    """Bytes that were to be an image document are not one."""

    id = "bad-document"


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A reference to content by digest, size (bytes) and media type."""

    media_type: str = ""
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

    @classmethod
    def from_wire(cls, found: dict[str, Any]) -> dict[str, Any]:
        """A platform without system or processor is none; the config says which it is."""
        platform = found.get("platform")
        if isinstance(platform, dict) and not (platform.get("os") and platform.get("architecture")):
            return {key: value for key, value in found.items() if key != "platform"}
        return found


#: Of a manifest that has no config.
NO_CONFIG = Descriptor(digest="", size=0)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One image of one platform, or an artifact.

    config: ``NO_CONFIG`` in OCI's withdrawn artifact manifest, whose ``blobs`` are ``layers``
    """

    schema_version: int = 0
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor = NO_CONFIG
    layers: tuple[Descriptor, ...] = _REQUIRED_LIST
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}

    @property
    def content(self) -> tuple[Descriptor, ...]:
        """The config, if there is one, and the layers, as often as the manifest lists them."""
        return self.layers if self.config == NO_CONFIG else (self.config, *self.layers)


class Index(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Several manifests under one digest, usually one per platform."""

    schema_version: int = 0
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

    @classmethod
    def from_wire(cls, found: dict[str, Any]) -> dict[str, Any]:
        """One word may stand for a command (docker's strslice)."""
        words = {
            key: [found[key]] for key in ("Entrypoint", "Cmd") if isinstance(found.get(key), str)
        }
        return found | words


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
    def platform(self) -> Platform | None:
        """``None`` where the config names no platform."""
        if not self.os and not self.architecture:
            return None
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

    def ambiguities(self) -> list[str]:
        """Keys of the document that readers understand differently (``go_json``)."""
        return go_json.ambiguities(self.raw, type(self.parsed))

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
        raise TooLarge(f"the manifest is larger than {human_size(MANIFEST_LIMIT)}")
    digest = Digest.of(raw, expected.algorithm if expected else "sha256")
    if expected is not None and digest != expected:
        raise IntegrityError(f"the manifest has digest {digest}, expected {expected}")
    kind = _kind(_decode(raw, _SHAPE_READER, "manifest"), media_type)
    if kind in media_types.INDEXES:
        return Document(raw, _decode(raw, _INDEX_READER, "index"), kind, digest)
    manifest = _decode(raw, _MANIFEST_READER, "manifest")
    if kind == media_types.OCI_ARTIFACT:
        manifest = msgspec.structs.replace(
            manifest, layers=_decode(raw, _BLOBS_READER, "manifest").blobs
        )
    elif manifest.config == NO_CONFIG:
        raise BadDocument("the manifest has no config")
    return Document(raw, manifest, kind, digest)


def read_index(raw: bytes) -> Index:
    """Parse an index that is not content with a digest, such as a layout's ``index.json``."""
    return _decode(raw, _INDEX_READER, "index")


def read_config(
    raw: bytes, media_type: str, expected: Digest | None = None
) -> Document[ImageConfig]:
    """Parse an image's configuration. Docker writes null for every empty list and map.

    Raises ``BadDocument``,
    ``IntegrityError``, ``TooLarge``.
    """
    if len(raw) > CONFIG_LIMIT:
        raise TooLarge(f"the image's config is larger than {human_size(CONFIG_LIMIT)}")
    digest = Digest.of(raw, expected.algorithm if expected else "sha256")
    if expected is not None and digest != expected:
        raise IntegrityError(f"the config has digest {digest}, expected {expected}")
    return Document(raw, _decode(raw, _CONFIG_READER, "config"), media_type, digest)


def read_odd_config(
    raw: bytes, media_type: str, expected: Digest
) -> tuple[Document[ImageConfig], tuple[str, ...]]:
    """What can be read of a config, for commands that show it, and what is wrong with the rest."""
    digest = Digest.of(raw, expected.algorithm)
    if digest != expected:
        raise IntegrityError(f"the config has digest {digest}, expected {expected}")
    try:
        parsed, faults = _CONFIG_READER.decode_readable(raw)
    except go_json.BadJson as error:
        parsed, faults = ImageConfig(), (f"not valid: {error}",)
    return Document(raw, parsed, media_type, digest), faults


class _Shape(msgspec.Struct, rename="camel"):
    """The fields that tell one kind of document from another; null is not there."""

    schema_version: int = 0
    media_type: str = ""
    config: Any = None
    layers: Any = None
    manifests: Any = None
    fs_layers: Any = None


class _Blobs(msgspec.Struct):
    """What the withdrawn artifact manifest of OCI has instead of layers."""

    blobs: tuple[Descriptor, ...] = ()


# Made before threads start (docs/decisions/decoders.md).
_SHAPE_READER = go_json.Reader(_Shape)
_BLOBS_READER = go_json.Reader(_Blobs)
_INDEX_READER = go_json.Reader(Index)
_MANIFEST_READER = go_json.Reader(Manifest)
_CONFIG_READER = go_json.Reader(ImageConfig)


def _kind(shape: _Shape, sent_as: str) -> str:
    sent_as = sent_as.partition(";")[0].strip()
    known = media_types.INDEXES | media_types.MANIFESTS
    if shape.media_type == media_types.OCI_ARTIFACT:
        return shape.media_type
    if shape.fs_layers is not None or shape.schema_version == 1:
        raise BadDocument(
            "the image is of Docker's schema 1, which no current tool writes",
            hint="push it again with a current tool",
        )
    parts = (shape.config, shape.layers, shape.manifests)
    bare = shape.schema_version == 0 and not any(part is not None for part in parts)
    if shape.schema_version not in (0, 2) or bare:  # Go's tools do not look for the version
        raise BadDocument("the document is neither an image manifest nor an index")
    is_manifest = shape.config is not None or shape.layers is not None
    if shape.manifests is not None and is_manifest:
        raise BadDocument("the document is both a manifest and an index")
    own = shape.media_type
    is_index = not is_manifest and (shape.manifests is not None or own in media_types.INDEXES)
    if own and sent_as in known and own != sent_as:
        raise BadDocument(
            f"the document's mediaType is {own}, but the server sent it as {sent_as}",
            hint="the registry or a proxy relabels documents; REPOSITORY@DIGEST reads it as it is",
        )
    kind = own or (sent_as if sent_as in known else "")
    kind = kind or (media_types.OCI_INDEX if is_index else media_types.OCI_MANIFEST)
    if kind not in known:
        raise BadDocument(f"unsupported document type {kind}: not an image")
    if (kind in media_types.INDEXES) != is_index:
        raise BadDocument(f"the document's mediaType is {kind}, but its fields are of another type")
    return kind


S = TypeVar("S")


def _decode(raw: bytes, reader: go_json.Reader[S], what: str) -> S:
    try:
        return reader.decode(raw)
    except go_json.BadJson as error:
        raise BadDocument(f"the {what} is not valid: {error}") from error
