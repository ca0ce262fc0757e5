"""Archives of docker before 1.10 (2016): ``repositories`` and a folder per layer.

Each folder has ``json`` (the old form of an image's config, which names its parent) and
``layer.tar``. The config that is made of them is what docker makes when it loads such an
archive: the top layer's, without the fields of the old form, with ``rootfs`` and
``history``. Nothing writes this any more.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.images.image import Image
from homeport.images.storage.docker_manifest import SavedImage
from homeport.images.storage.files import BadLayout, Files, FilesBlob, read_small
from homeport.oci import media_types
from homeport.oci.documents import CONFIG_LIMIT, Descriptor, Manifest, read_config, written

_REPOSITORIES = "repositories"
_REPOSITORIES_DECODER = msgspec.json.Decoder(dict[str, dict[str, str]])
_LAYER_DECODER = msgspec.json.Decoder(dict[str, Any])
_LIMIT = 16 << 20
_LAYER_LIMIT = 1000
T = TypeVar("T")
_OLD_FIELDS = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")


def legacy_images(files: Files) -> list[tuple[SavedImage, Image]]:
    """The images of the archive, or none if it is not of this kind. Raises ``BadLayout``."""
    if files.size(_REPOSITORIES) is None:
        return []
    found: dict[str, list[str]] = {}
    for repository, tags in _read(files, _REPOSITORIES, _REPOSITORIES_DECODER).items():
        for tag, layer in tags.items():
            found.setdefault(layer, []).append(f"{repository}:{tag}")
    return [
        (SavedImage(config=layer, repo_tags=tuple(names)), _image(files, layer))
        for layer, names in found.items()
    ]


def _image(files: Files, top: str) -> Image:
    chain = _chain(files, top)
    layers: list[FilesBlob] = [_layer(files, layer) for layer, _ in chain]
    raw = msgspec.json.encode(_config([old for _, old in chain], layers), order="sorted")
    config = read_config(raw, media_types.OCI_CONFIG)
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=config.descriptor(),
        layers=tuple(
            Descriptor(media_type=media_types.OCI_LAYER, digest=str(layer.digest), size=layer.size)
            for layer in layers
        ),
    )
    blobs: dict[Digest, Blob] = {layer.digest: layer for layer in layers}
    blobs[config.digest] = BytesBlob(raw)
    return Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs=blobs,
        platform=config.parsed.platform,
    )


def _chain(files: Files, top: str) -> list[tuple[str, dict[str, Any]]]:
    """The layers and their configs, lowest first."""
    found: list[tuple[str, dict[str, Any]]] = []
    layer: Any = top
    while layer:
        if len(found) >= _LAYER_LIMIT or not isinstance(layer, str):
            raise BadLayout(f"{files.place} has layers whose parents never end")
        old = _read(files, f"{layer}/json", _LAYER_DECODER)
        found.insert(0, (layer, old))
        layer = old.get("parent")
    return found


def _config(olds: list[dict[str, Any]], layers: list[FilesBlob]) -> dict[str, Any]:
    top = {key: value for key, value in olds[-1].items() if key not in _OLD_FIELDS}
    top["rootfs"] = {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}
    top["history"] = [_history(old) for old in olds]
    return top


def _history(old: dict[str, Any]) -> dict[str, Any]:
    command = (old.get("container_config") or {}).get("Cmd") or []
    entry = {
        "created": old.get("created"),
        "author": old.get("author"),
        "created_by": " ".join(map(str, command)),
        "comment": old.get("comment"),
    }
    return {key: value for key, value in entry.items() if value}


def _layer(files: Files, layer: str) -> FilesBlob:
    name = f"{layer}/layer.tar"
    hasher = hashlib.sha256()
    with files.open(name) as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    size = files.size(name)
    assert size is not None
    return FilesBlob(files, name, Digest.finished(hasher), size)


def _read(files: Files, name: str, decoder: msgspec.json.Decoder[T]) -> T:
    place = f"{files.place}/{name}"
    raw = read_small(files, name, min(_LIMIT, CONFIG_LIMIT), place)
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadLayout(f"{place} is not valid: {error}", where={"file": place}) from error
