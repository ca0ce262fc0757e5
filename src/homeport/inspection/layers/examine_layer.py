"""A layer listed for inspection, with its package databases and the facts of its programs.

The result is stored under the layer's digest, so that a second inspection decompresses nothing.
Of contents only package databases and similar files are stored (``metadata_files``);
``file_contents`` reads others again when they are needed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

import msgspec

from homeport.content.blob import Blob
from homeport.content.store import Store
from homeport.elf import MAGIC as ELF_MAGIC
from homeport.errors import HomeportError
from homeport.inspection.binaries.facts import BinaryFacts, examine
from homeport.inspection.code_version import code_version
from homeport.inspection.layers.metadata_files import MAX_TOTAL, is_metadata_file
from homeport.layers.listing import Listing, list_layer, read_start
from homeport.progress import CancelToken

_NAMESPACE = "layer-listing"
_METADATA = "layer-metadata"
_STEP = 1 << 18
_MAX_BINARY = 256 << 20
_LISTING_DECODER = msgspec.msgpack.Decoder(Listing)


class LayerMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What every inspection needs of a layer's contents, by the content's sha256.

    files:    contents of package databases and similar files (``metadata_files``)
    binaries: facts of ELF files
    skipped:  number of files left out because all together were too large
    """

    files: dict[bytes, bytes] = {}
    binaries: dict[bytes, BinaryFacts] = {}
    skipped: int = 0


_LAYER_METADATA_DECODER = msgspec.msgpack.Decoder(LayerMetadata)


InProcess = Callable[[Blob, CancelToken], tuple[Listing, LayerMetadata] | None]


class CannotRead(HomeportError):
    """A layer that cannot be read: encrypted, non-distributable and missing, or no tar."""

    id = "cannot-read-layer"


def examine_layer(
    blob: Blob,
    store: Store | None,
    cancel: CancelToken,
    *,
    what: str = "the layer",
    in_process: InProcess | None = None,
) -> tuple[Listing, LayerMetadata]:
    """The list of a layer and its metadata, from the store if it is known there.

    in_process: tried first for a layer that is not in the store; may return ``None``

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    key = f"{code_version()} {blob.digest} {blob.size}"
    if store and (known := _recall(store, key)):
        return known
    found = in_process(blob, cancel) if in_process is not None else None
    listing, metadata = found or _examine(blob, cancel, what)
    if store:
        with contextlib.suppress(OverflowError):  # a time beyond 64 bits cannot be stored
            encoded = msgspec.msgpack.encode(listing)
            store.remember(_METADATA, key, msgspec.msgpack.encode(metadata))
            store.remember(_NAMESPACE, key, encoded)
    return listing, metadata


def _recall(store: Store, key: str) -> tuple[Listing, LayerMetadata] | None:
    listing, metadata = store.recall(_NAMESPACE, key), store.recall(_METADATA, key)
    if listing is None or metadata is None:
        return None
    try:
        return (
            _LISTING_DECODER.decode(listing),
            _LAYER_METADATA_DECODER.decode(metadata),
        )
    except msgspec.DecodeError:  # damaged: examined again and replaced
        store.forget(_NAMESPACE, key)
        return None


def _examine(blob: Blob, cancel: CancelToken, what: str) -> tuple[Listing, LayerMetadata]:
    contents = LayerContents(cancel.check)
    listing = list_layer(blob, contents, cancel, what=what)
    metadata = LayerMetadata(
        files=contents.files, binaries=contents.binaries, skipped=contents.skipped
    )
    return listing, metadata


class LayerContents:
    """Hashes contents; stores some of them, up to a total, and examines programs."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.files: dict[bytes, bytes] = {}
        self.binaries: dict[bytes, BinaryFacts] = {}
        self.skipped = 0
        self._left = MAX_TOTAL

    def small(self, path: bytes, data: bytes) -> bytes:
        digest = hashlib.sha256(data).digest()
        if self._takes(path, len(data)):
            self.files[digest] = data
        elif data.startswith(ELF_MAGIC):
            self._examine(digest, data)
        return digest

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        data = read_start(read)
        start = data[:4]
        metadata = self._takes(path, size)
        binary = start == ELF_MAGIC and size <= _MAX_BINARY
        if metadata or binary:
            data = b"".join([data, *iter(lambda: read(_STEP), b"")])
            digest = hashlib.sha256(data).digest()
            if metadata:
                self.files[digest] = data
            else:
                self._examine(digest, data)
            return digest, start
        hasher = hashlib.sha256(data)
        while data := read(_STEP):
            hasher.update(data)
        return hasher.digest(), start

    def _takes(self, path: bytes, size: int) -> bool:
        if not is_metadata_file(path, size):
            return False
        if size > self._left:
            self.skipped += 1
            return False
        self._left -= size
        return True

    def _examine(self, digest: bytes, data: bytes) -> None:
        """Examine an ELF file once for each content."""
        if digest not in self.binaries:
            self.binaries[digest] = examine(data, self._check)
