"""Images in memory for tests: ``image(...)``, ``index(...)``, and layers as small tars."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import zstandard

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.images.image import (
    ATTESTATION_DIGEST,
    ATTESTATION_TYPE,
    Child,
    Image,
    Index,
    Missing,
    new_index,
)
from homeport.images.image_blobs import all_blobs
from homeport.oci import media_types
from homeport.oci.documents import (
    Descriptor,
    History,
    ImageConfig,
    Manifest,
    RootFs,
    RunConfig,
    encode,
    written,
)
from homeport.oci.platform import UNKNOWN, parse_platform

SEVEN = tuple(
    parse_platform(f"linux/{name}")
    for name in ("amd64", "arm64", "arm/v7", "386", "ppc64le", "s390x", "riscv64")
)


@dataclass
class Layer:
    """A layer's bytes as they travel and as they are unpacked."""

    data: bytes
    plain: bytes
    media_type: str = media_types.OCI_LAYER_GZIP

    @property
    def diff_id(self) -> str:
        return str(Digest.of(self.plain))


def layer(files: Mapping[str, bytes] | None = None, codec: str = "gzip") -> Layer:
    """A layer of regular files; ``codec`` is gzip, zstd or none."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (files or {}).items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    plain = buffer.getvalue()
    if codec == "gzip":
        return Layer(gzip.compress(plain, mtime=0), plain)
    if codec == "zstd":
        return Layer(zstandard.ZstdCompressor().compress(plain), plain, media_types.OCI_LAYER_ZSTD)
    return Layer(plain, plain, media_types.OCI_LAYER)


_DOCKER_TYPES = {
    media_types.OCI_LAYER_GZIP: media_types.DOCKER_LAYER_GZIP,
    media_types.OCI_LAYER_ZSTD: media_types.DOCKER_LAYER_ZSTD,
    media_types.OCI_LAYER: media_types.DOCKER_LAYER,
}


def image(
    platform: str = "linux/amd64",
    layers: list[Layer] | None = None,
    *,
    docker: bool = False,
    config: RunConfig | None = None,
    annotations: Mapping[str, str] | None = None,
    history: tuple[History, ...] = (),
) -> Image:
    """An image of one platform; ``docker`` makes it one of Docker's schema 2."""
    layers = [layer({"hello": platform.encode()})] if layers is None else layers
    wanted = parse_platform(platform)
    parsed = ImageConfig(
        created="1970-01-01T00:00:00Z", architecture=wanted.architecture, os=wanted.os,
        variant=wanted.variant, config=config or RunConfig(), history=history,
        rootfs=RootFs(diff_ids=tuple(one.diff_id for one in layers)),
    )  # fmt: skip
    raw = encode(parsed)
    blobs: dict[Digest, Blob] = {Digest.of(raw): BytesBlob(raw)}
    for one in layers:
        blobs[Digest.of(one.data)] = BytesBlob(one.data)
    kind = media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST
    config_kind = media_types.DOCKER_CONFIG if docker else media_types.OCI_CONFIG
    manifest = Manifest(
        schema_version=2, media_type=kind, annotations=dict(annotations or {}),
        config=Descriptor(media_type=config_kind, digest=str(Digest.of(raw)), size=len(raw)),
        layers=tuple(
            Descriptor(
                media_type=_DOCKER_TYPES[one.media_type] if docker else one.media_type,
                digest=str(Digest.of(one.data)), size=len(one.data),
            )
            for one in layers
        ),
    )  # fmt: skip
    return Image(document=written(manifest, kind), blobs=blobs, platform=wanted)


def windows_image(data: bytes, urls: tuple[str, ...]) -> Image:
    """An image whose first layer ``data`` is non-distributable: its owner serves it at ``urls``."""
    plain = image(layers=[layer({"program": b"ours"})])
    nondistributable = Descriptor(
        media_type=media_types.DOCKER_NONDISTRIBUTABLE_LAYER,
        digest=str(Digest.of(data)),
        size=len(data),
        urls=urls,
    )
    parsed = plain.document.parsed
    manifest = msgspec.structs.replace(parsed, layers=(nondistributable, *parsed.layers))
    document = written(manifest, media_types.OCI_MANIFEST)
    return Image(document=document, blobs=plain.blobs, platform=plain.platform)


def artifact(subject: Image | None = None, data: bytes = b'{"predicate":{}}') -> Image:
    """An artifact with the empty config, about ``subject``."""
    empty = b"{}"
    manifest = Manifest(
        schema_version=2, media_type=media_types.OCI_MANIFEST,
        artifact_type="application/vnd.example.report",
        config=Descriptor(media_type=media_types.OCI_EMPTY, digest=str(Digest.of(empty)), size=2),
        layers=(
            Descriptor(
                media_type="application/vnd.in-toto+json", digest=str(Digest.of(data)),
                size=len(data),
            ),
        ),
        subject=subject.document.descriptor() if subject else None,
    )  # fmt: skip
    blobs: dict[Digest, Blob] = {Digest.of(raw): BytesBlob(raw) for raw in (empty, data)}
    return Image(document=written(manifest, media_types.OCI_MANIFEST), blobs=blobs)


def attestation_of(subject: Image) -> Child:
    """How BuildKit lists an attestation of ``subject`` in an index."""
    about = artifact(subject, b'{"about":"%s"}' % str(subject.digest).encode())
    descriptor = about.document.descriptor(
        platform=UNKNOWN,
        annotations={
            ATTESTATION_TYPE: "attestation-manifest",
            ATTESTATION_DIGEST: str(subject.digest),
        },
    )
    return Child(descriptor=descriptor, opener=lambda: about)


def index(children: list[Image | Index] | None = None, *, docker: bool = False) -> Index:
    """An index of ``children``; without any, of seven platforms that share a layer."""
    if children is None:
        shared = layer({"shared": b"the same for all"})
        children = [
            image(str(one), [shared, layer({"own": str(one).encode()})], docker=docker)
            for one in SEVEN
        ]
    kind = media_types.DOCKER_INDEX if docker else media_types.OCI_INDEX
    return new_index(children, media_type=kind)


@dataclass
class MemoryContents:
    """Contents in memory (``images.image.Contents``), to be damaged at will."""

    data: dict[str, bytes] = field(default_factory=dict)

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._get(descriptor)

    def blob(self, descriptor: Descriptor) -> Blob:
        return BytesBlob(self._get(descriptor))

    def _get(self, descriptor: Descriptor) -> bytes:
        if descriptor.digest not in self.data:
            raise Missing(f"{descriptor.digest} is missing")
        return self.data[descriptor.digest]


def everything(value: Image | Index) -> dict[str, bytes]:
    """Digest → bytes of all that ``value`` consists of."""
    found = {}
    for digest, blob in all_blobs(value).items():
        with blob.open() as stream:
            found[str(digest)] = stream.read()
    return found
