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

from homeport.budget import Budget
from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.images.image import Image
from homeport.images.storage.docker_manifest import SavedImage
from homeport.images.storage.files import BadLayout, Files, FilesBlob, missing, read_small
from homeport.oci import media_types
from homeport.oci.documents import CONFIG_LIMIT, Descriptor, Manifest, read_config, written
from homeport.printable import printable

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
    budget = Budget(files.place)
    layers = _Layers(files, budget)
    return [
        (SavedImage(config=layer, repo_tags=tuple(names)), _image(files, layer, layers, budget))
        for layer, names in found.items()
    ]


class _OldConfig(msgspec.Struct):
    """What a layer's history needs of its ``json``; the rest may be large."""

    parent: str | None = None
    created: str | None = None
    author: str | None = None
    comment: str | None = None
    container_config: _OldCommand | None = None


class _OldCommand(msgspec.Struct, rename="pascal"):
    cmd: list[Any] | None = None


_OLD_DECODER = msgspec.json.Decoder(_OldConfig)


class _Layers:
    """The layers of the archive, each file hashed once however many images share it."""

    def __init__(self, files: Files, budget: Budget) -> None:
        self._files = files
        self._budget = budget
        self._digests: dict[str, Digest] = {}

    def blob(self, layer: str) -> FilesBlob:
        name = f"{layer}/layer.tar"
        size = self._files.size(name)
        if size is None:
            raise missing(self._files, name)
        file = self._files.resolved(name)
        if file not in self._digests:
            self._budget.data(size)
            self._digests[file] = _hash(self._files, name)
        return FilesBlob(self._files, name, self._digests[file], size)


def _image(files: Files, top: str, known: _Layers, budget: Budget) -> Image:
    chain = _chain(files, top, budget)
    layers: list[FilesBlob] = [known.blob(layer) for layer, _ in chain]
    last = _read(files, f"{top}/json", _LAYER_DECODER)
    raw = msgspec.json.encode(_config(last, [old for _, old in chain], layers), order="sorted")
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


def _chain(files: Files, top: str, budget: Budget) -> list[tuple[str, _OldConfig]]:
    """The layers and their configs, lowest first."""
    found: dict[str, _OldConfig] = {}
    layer: str | None = top
    while layer:
        if layer in found or len(found) >= _LAYER_LIMIT:
            raise BadLayout(
                f"the parents of the layer {printable(top)} in {files.place} form a loop, or are "
                f"more than {_LAYER_LIMIT}",
                where={"file": f"{files.place}/{layer}/json"},
            )
        name = f"{layer}/json"
        budget.steps((files.size(name) or 0) // 100 + 1)
        found[layer] = _read(files, name, _OLD_DECODER)
        layer = found[layer].parent
    return list(reversed(found.items()))


def _config(
    last: dict[str, Any], olds: list[_OldConfig], layers: list[FilesBlob]
) -> dict[str, Any]:
    top = {key: value for key, value in last.items() if key not in _OLD_FIELDS}
    top["rootfs"] = {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}
    top["history"] = [_history(old) for old in olds]
    return top


def _history(old: _OldConfig) -> dict[str, Any]:
    command = (old.container_config.cmd if old.container_config else None) or []
    entry = {
        "created": old.created,
        "author": old.author,
        "created_by": " ".join(map(str, command)),
        "comment": old.comment,
    }
    return {key: value for key, value in entry.items() if value}


def _hash(files: Files, name: str) -> Digest:
    hasher = hashlib.sha256()
    with files.open(name) as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return Digest.finished(hasher)


def _read(files: Files, name: str, decoder: msgspec.json.Decoder[T]) -> T:
    place = f"{files.place}/{name}"
    raw = read_small(files, name, min(_LIMIT, CONFIG_LIMIT), place)
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadLayout(f"{place} is not valid: {error}", where={"file": place}) from error
