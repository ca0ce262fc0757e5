"""``manifest.json`` of docker's archives: which images there are, and a manifest for one.

Docker keeps no manifest in the archives of versions 1.10 to 24, only config and layers; the
one made here names them as they are, so that it is the same on every machine. Not for
finding the archive or choosing between its two halves (``docker_archive``).
"""

from __future__ import annotations

import hashlib
import posixpath
import re

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.errors import TooLarge, UsageError
from homeport.images.image import Image
from homeport.images.storage.files import BadLayout, Files, FilesBlob, missing, read_small
from homeport.images.storage.unpacked_blob import UnpackedBlob
from homeport.oci import go_json, media_types
from homeport.oci.documents import (
    CONFIG_LIMIT,
    Descriptor,
    Document,
    ImageConfig,
    Manifest,
    read_config,
    written,
)
from homeport.quantities import counted
from homeport.tree.decompression import MAGIC_LENGTH, codec_of

MANIFEST_FILE = "manifest.json"
_LIMIT = 64 << 20
_LAYER_LIMIT = 1000  # docker allows 127
_IMAGE_LIMIT = 10_000
_BLOB_NAME = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_MEDIA_TYPES = {"gzip": media_types.OCI_LAYER_GZIP, "zstd": media_types.OCI_LAYER_ZSTD}


class SavedImage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image of the archive. Paths are names inside it."""

    config: str
    repo_tags: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()


_IMAGES_READER = go_json.Reader(list[SavedImage])


class _Layer(msgspec.Struct, frozen=True):
    descriptor: Descriptor
    blob: Blob


def saved_images(files: Files) -> list[SavedImage]:
    """The images that ``manifest.json`` lists. Raises ``BadLayout``, ``Missing``."""
    place = f"{files.place}/{MANIFEST_FILE}"
    if files.size(MANIFEST_FILE) is None:
        raise BadLayout(
            f"{files.place} is not an image archive: it has neither {MANIFEST_FILE} nor index.json",
            where={"file": files.place},
        )
    raw = read_small(files, MANIFEST_FILE, _LIMIT, place)
    try:
        saved = _IMAGES_READER.decode(raw)
    except go_json.BadJson as error:
        raise BadLayout(f"{place} is not valid: {error}", where={"file": place}) from error
    if len(saved) > _IMAGE_LIMIT:
        raise TooLarge(f"{place} lists more than {_IMAGE_LIMIT} images")
    return saved


def image_of(files: Files, saved: SavedImage) -> Image:
    """The image with a manifest of ours. Layers that are compressed are read once to be hashed."""
    config = read_saved_config(files, saved)
    layers = _layers(files, saved, config.parsed)
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=config.descriptor(),
        layers=tuple(layer.descriptor for layer in layers),
    )
    blobs: dict[Digest, Blob] = {layer.blob.digest: layer.blob for layer in layers}
    blobs[config.digest] = FilesBlob(files, _name(saved.config), config.digest, config.size)
    return Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs=blobs,
        platform=config.parsed.platform,
    )


def read_saved_config(files: Files, saved: SavedImage) -> Document[ImageConfig]:
    """The config of an image, whatever its file is called. Raises ``Missing``, ``BadDocument``."""
    name = _name(saved.config)
    if files.size(name) is None:
        raise missing(files, name)
    raw = read_small(files, name, CONFIG_LIMIT, f"{files.place}/{name}")
    named = _BLOB_NAME.fullmatch(name)
    return read_config(raw, media_types.OCI_CONFIG, Digest("sha256", named[1]) if named else None)


def lists_layers(saved: SavedImage, manifest: Manifest, config: ImageConfig) -> bool:
    """Whether a manifest beside ``manifest.json`` has the same layers in the same order.

    Docker 25.0 wrote manifests without layers, or with layers in another order. A layer is the
    same if its file is the same, or is the unpacked twin that goes with the config.
    """
    layers, diff_ids = manifest.layers, config.rootfs.diff_ids
    if not len(layers) == len(diff_ids) == len(saved.layers):
        return False
    for layer, diff_id, name in zip(layers, diff_ids, saved.layers, strict=True):
        file = _BLOB_NAME.fullmatch(_name(name))
        named = f"sha256:{file[1]}" if file else ""
        packed = layer.media_type not in (media_types.OCI_LAYER, media_types.DOCKER_LAYER)
        if layer.digest not in (named, diff_id) and not (packed and named == diff_id):
            return False
    return True


def _layers(files: Files, saved: SavedImage, config: ImageConfig) -> list[_Layer]:
    names = [_name(name) for name in saved.layers]
    diff_ids = config.rootfs.diff_ids
    if len(names) != len(diff_ids):
        raise BadLayout(
            f"{files.place} lists {counted(len(names), 'layer')} of an image whose config has "
            f"{len(diff_ids)}",
            where={"file": f"{files.place}/{MANIFEST_FILE}"},
        )
    if len(names) > _LAYER_LIMIT:
        raise BadLayout(f"{files.place} lists more than {_LAYER_LIMIT} layers")
    known: dict[tuple[str, str], _Layer] = {}
    for name, diff_id in zip(names, diff_ids, strict=True):
        key = files.resolved(name), diff_id
        if key not in known:
            known[key] = _layer(files, name, diff_id)
    return [known[files.resolved(name), diff] for name, diff in zip(names, diff_ids, strict=True)]


def _layer(files: Files, name: str, diff_id: str) -> _Layer:
    size = files.size(name)
    if size is None:
        raise missing(files, name)
    with files.open(name) as stream:
        codec = codec_of(stream.read(MAGIC_LENGTH))
    if codec in ("xz", "bzip2"):  # docker load reads them, but layers have no such media type
        unpacked = UnpackedBlob.of(files, name, _digest(files, diff_id))
        return _Layer(
            Descriptor(
                media_type=media_types.OCI_LAYER, digest=str(unpacked.digest), size=unpacked.size
            ),
            unpacked,
        )
    media_type = _MEDIA_TYPES.get(codec, media_types.OCI_LAYER)
    # The diff id of an uncompressed layer is its digest, and so is the name that docker gives a
    # blob since 25: checked when the layer is read.
    named = _BLOB_NAME.fullmatch(name)
    if media_type == media_types.OCI_LAYER:
        digest = _digest(files, diff_id)
    else:
        digest = Digest("sha256", named[1]) if named else _hash(files, name)
    descriptor = Descriptor(media_type=media_type, digest=str(digest), size=size)
    return _Layer(descriptor, FilesBlob(files, name, digest, size))


def _digest(files: Files, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except UsageError as error:
        raise BadLayout(f"a config in {files.place} is not valid: {error}") from error


def _hash(files: Files, name: str) -> Digest:
    hasher = hashlib.sha256()
    with files.open(name) as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return Digest.finished(hasher)


def _name(path: str) -> str:
    """A path of ``manifest.json`` as a name in the archive; one that leads out finds nothing."""
    return posixpath.normpath(path.lstrip("/"))
