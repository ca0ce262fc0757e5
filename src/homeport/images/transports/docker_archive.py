"""The transport ``docker-archive:``, what ``docker save`` writes and ``docker load`` reads.

What is written is both things at once, as docker itself does since 25 and BuildKit always:
an OCI layout, so that manifest and digest survive, with a ``manifest.json`` beside it that
docker and podman load. A zstd layer stands there unpacked too. One platform per archive.

What is read: ``manifest.json`` with ``HEX/layer.tar`` (docker 1.10 to 24, podman), the same
with an OCI layout (docker 25 and later), and what came before 1.10 (``docker_legacy``).
Where the archive has the image's own manifest it is used as it is; otherwise one is made.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.errors import HomeportError, TooLarge, UsageError
from homeport.images.address import ArchiveAddress
from homeport.images.image import (
    COUNT_LIMIT,
    Image,
    ImageNotFound,
    Index,
    Missing,
    digest_of,
    open_descriptor,
)
from homeport.images.image_blobs import all_blobs
from homeport.images.platforms import nearest, platforms_of, select
from homeport.images.storage.archive_files import ArchiveFiles, open_archive
from homeport.images.storage.archive_writer import write_layout_archive
from homeport.images.storage.docker_legacy import legacy_images
from homeport.images.storage.docker_manifest import (
    MANIFEST_FILE,
    SavedImage,
    image_of,
    lists_layers,
    read_saved_config,
    saved_images,
)
from homeport.images.storage.files import Files
from homeport.images.storage.layout import (
    INDEX_FILE,
    LAYOUT_FILE,
    REF_NAME,
    LayoutContents,
    blob_name,
    index_of_one,
    name_annotations,
    open_in_layout,
    read_index,
)
from homeport.images.storage.spooled_unpack import decompressed_layer
from homeport.images.storage.temp_space import temporary_folder
from homeport.images.transports.base import Written
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.oci.platform import native_platform
from homeport.oci.reference import DEFAULT_TAG, BadReference, parse_reference
from homeport.runtime import Runtime


class NotForDocker(UsageError):
    """An image that ``docker load`` could not take."""

    id = "not-for-docker"


class DockerArchive:
    """One address ``docker-archive:FILE[:REF]``, to be read or written."""

    def __init__(self, address: ArchiveAddress) -> None:
        self._address = address
        self.name = ""

    @property
    def address(self) -> ArchiveAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        with open_archive(self._address.path, runtime) as files:
            yield open_in_archive(files, self._address)

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        image = one_platform(value)
        parts = all_blobs(image)
        with temporary_folder() as folder:
            layers = [
                self._loadable(image, layer, folder, runtime)
                for layer in image.document.parsed.layers
            ]
            documents = self._documents(image, layers)
            members = {**parts, **{layer.digest: layer for layer in layers}}
            write_layout_archive(self._address.path, members, documents, runtime)
        return Written.whole(self._address, image.digest, parts)

    def _loadable(self, image: Image, layer: Descriptor, folder: Path, runtime: Runtime) -> Blob:
        """The layer in a form that every docker loads: 20.10 cannot unpack zstd (tried)."""
        blob = image.blobs[digest_of(layer)]
        if layer.media_type not in (media_types.OCI_LAYER_ZSTD, media_types.DOCKER_LAYER_ZSTD):
            return blob
        return decompressed_layer(blob, folder, runtime)

    def _documents(self, image: Image, layers: Sequence[Blob]) -> dict[str, bytes]:
        name = self._address.tag or self.name
        names = [parse_reference(name)] if name else []
        annotations = name_annotations(names[0]) if names else {REF_NAME: DEFAULT_TAG}
        saved = {
            "Config": blob_name(digest_of(image.document.parsed.config)),
            "RepoTags": [name.familiar for name in names] or None,
            "Layers": [blob_name(layer.digest) for layer in layers],
        }
        return {
            INDEX_FILE: index_of_one(image.descriptor(), annotations),
            MANIFEST_FILE: msgspec.json.encode([saved]),
        }


def one_platform(value: Image | Index) -> Image:
    """The only image, or the one for this machine. Raises ``NotForDocker``."""
    if isinstance(value, Index):
        there = platforms_of(value)
        wanted = there[:1] if len(set(there)) == 1 else [nearest(native_platform(), there)]
        if not any(platform.satisfies(wanted[0]) for platform in there):
            raise NotForDocker(
                f"a docker archive holds one platform; no image for {wanted[0]}",
                hint=f"choose one with --platform: {', '.join(map(str, there))}",
            )
        value = select(value, wanted)
    assert isinstance(value, Image)
    if value.is_artifact:
        raise NotForDocker("a docker archive holds images, and this is an artifact")
    missing = [part.digest for part in value.content() if digest_of(part) not in value.blobs]
    if missing:
        raise NotForDocker(
            f"the layer {missing[0]} is non-distributable, and a docker archive must contain "
            "every layer",
            hint="add --allow-nondistributable-artifacts (check that your licence permits it)",
        )
    return value


def open_in_archive(files: ArchiveFiles, address: ArchiveAddress) -> Image | Index:
    """The image that ``address`` means, in an archive of any docker or podman."""
    try:
        return _open(files, address)
    except HomeportError as error:
        raise error.at(archive=files.place)  # noqa: B904  the same error, with its place


def _open(files: ArchiveFiles, address: ArchiveAddress) -> Image | Index:
    if files.size(MANIFEST_FILE) is None:
        if files.size(LAYOUT_FILE) is not None:
            return open_in_layout(files, address.tag, address.digest)
        images = legacy_images(files)
        if images:
            chosen = _choose(files, [saved for saved, _ in images], address)
            return next(image for saved, image in images if saved is chosen)
    if address.digest is not None:
        return open_in_layout(files, "", address.digest)
    saved = _choose(files, saved_images(files), address)
    if files.size(LAYOUT_FILE) is not None and files.size(INDEX_FILE) is not None:
        found = _in_layout(files, saved)
        if found is not None:
            return found
    return image_of(files, saved)


def _choose(files: Files, images: Sequence[SavedImage], address: ArchiveAddress) -> SavedImage:
    if not images:
        raise ImageNotFound(f"{files.place} holds no image")
    if address.position is not None:
        if address.position < len(images):
            return images[address.position]
        raise ImageNotFound(f"{files.place} holds {len(images)} images, counted from 0")
    if address.tag:
        for saved in images:
            if address.tag in map(_full, saved.repo_tags):
                return saved
        known = [tag for saved in images for tag in saved.repo_tags]
        near = difflib.get_close_matches(address.tag, known, n=3) or known[:10]
        raise ImageNotFound(
            f"{files.place} holds no image {address.tag}",
            hint=f"there is {', '.join(near)}" if near else "its images have no names: use :@0",
        )
    if len({saved.config for saved in images}) > 1:
        names = [(saved.repo_tags or (f"@{n}",))[0] for n, saved in enumerate(images)]
        raise ImageNotFound(
            f"{files.place} holds {len(images)} images",
            hint=f"choose one after a colon: {', '.join(names[:10])}",
        )
    return images[0]


def _full(name: str) -> str:
    try:
        return str(parse_reference(name))
    except BadReference:
        return name


def _in_layout(files: Files, saved: SavedImage) -> Image | Index | None:
    """The image as the archive's OCI half has it, if it is all there.

    Docker with containerd's store writes the whole index of an image, but only the parts of
    the platforms that it has; then its own manifest of the one that is there is used.
    """
    config = read_saved_config(files, saved)
    _, index = read_index(files)
    contents = LayoutContents(files)
    seen: set[Digest] = set()
    for entry in index.manifests:
        for image in _images(partial(open_descriptor, contents, entry), seen):
            manifest = image.document.parsed
            if (
                manifest.config.digest == str(config.digest)
                and lists_layers(saved, manifest, config.parsed)
                and _is_whole(files, image)
            ):
                top = open_descriptor(contents, entry)
                return top if _is_whole(files, top) else image
    return None


def _images(open_entry: Callable[[], Image | Index], seen: set[Digest]) -> Iterator[Image]:
    """The images below an entry of ``index.json``, each once, leaving out what is not there."""
    try:
        value = open_entry()
    except Missing:
        return
    if value.digest in seen:
        return
    seen.add(value.digest)
    if len(seen) > COUNT_LIMIT:
        raise TooLarge(f"the index holds more than {COUNT_LIMIT} manifests")
    if isinstance(value, Image):
        yield value
        return
    for child in value.children:
        yield from _images(child.open, seen)


def _is_whole(files: Files, value: Image | Index) -> bool:
    try:
        parts = all_blobs(value)
    except Missing:
        return False
    return all(files.size(blob_name(digest)) == blob.size for digest, blob in parts.items())
