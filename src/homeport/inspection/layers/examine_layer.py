"""A layer listed for inspection: what package databases and programs in it say comes along.

The answer is kept in the store under the layer's digest, so that a second look decompresses
nothing. Of contents only package databases and the like are retained (``retained_files``):
``contents`` reads others again when they are needed.
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
from homeport.inspection.layers.retained_files import MAX_TOTAL, is_kept
from homeport.layers.listing import Listing, list_layer, read_start
from homeport.progress import CancelToken

_NAMESPACE = "layer-listing"
_RETAINED = "layer-kept"
_STEP = 1 << 18
_MAX_BINARY = 256 << 20


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """Of a layer's contents what every look asks for, by the content's sha256.

    binaries: what ELF files say about themselves
    skipped: how many files were left out because all together were too large
    """

    texts: dict[bytes, bytes] = {}
    binaries: dict[bytes, BinaryFacts] = {}
    skipped: int = 0


InProcess = Callable[[Blob, CancelToken], tuple[Listing, Retained] | None]


class CannotRead(HomeportError):
    """A layer that cannot be looked into: encrypted, foreign and absent, or of no known form."""

    id = "cannot-read-layer"


def examine_layer(
    blob: Blob,
    store: Store | None,
    cancel: CancelToken,
    *,
    what: str = "the layer",
    in_process: InProcess | None = None,
) -> tuple[Listing, Retained]:
    """The list of a layer and what is retained of it, from the store if it is known there.

    in_process: tried first to list a layer that is not known; ``None`` from it says nothing

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    key = f"{code_version()} {blob.digest} {blob.size}"
    if store and (known := _recall(store, key)):
        return known
    found = in_process(blob, cancel) if in_process is not None else None
    listing, retained = found or _examine(blob, cancel, what)
    if store:
        with contextlib.suppress(OverflowError):  # a time beyond 64 bits cannot be stored
            encoded = msgspec.msgpack.encode(listing)
            store.remember(_RETAINED, key, msgspec.msgpack.encode(retained))
            store.remember(_NAMESPACE, key, encoded)
    return listing, retained


def _recall(store: Store, key: str) -> tuple[Listing, Retained] | None:
    listing, retained = store.recall(_NAMESPACE, key), store.recall(_RETAINED, key)
    if listing is None or retained is None:
        return None
    try:
        return (
            msgspec.msgpack.decode(listing, type=Listing),
            msgspec.msgpack.decode(retained, type=Retained),
        )
    except msgspec.DecodeError:  # damaged: read again and replaced
        store.forget(_NAMESPACE, key)
        return None


def _examine(blob: Blob, cancel: CancelToken, what: str) -> tuple[Listing, Retained]:
    contents = _Contents(cancel.check)
    listing = list_layer(blob, contents, cancel, what=what)
    retained = Retained(texts=contents.texts, binaries=contents.binaries, skipped=contents.skipped)
    return listing, retained


class _Contents:
    """Hashes contents; retains some, up to a total, and examines programs."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.texts: dict[bytes, bytes] = {}
        self.binaries: dict[bytes, BinaryFacts] = {}
        self.skipped = 0
        self._left = MAX_TOTAL

    def small(self, path: bytes, data: bytes) -> bytes:
        digest = hashlib.sha256(data).digest()
        if self._is_retained(path, len(data)):
            self.texts[digest] = data
        elif data.startswith(ELF_MAGIC):
            self._examine(digest, data)
        return digest

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        data = read_start(read)
        start = data[:4]
        retained = self._is_retained(path, size)
        binary = start == ELF_MAGIC and size <= _MAX_BINARY
        if retained or binary:
            data = b"".join([data, *iter(lambda: read(_STEP), b"")])
            digest = hashlib.sha256(data).digest()
            if retained:
                self.texts[digest] = data
            else:
                self._examine(digest, data)
            return digest, start
        hasher = hashlib.sha256(data)
        while data := read(_STEP):
            hasher.update(data)
        return hasher.digest(), start

    def _is_retained(self, path: bytes, size: int) -> bool:
        if not is_kept(path, size):
            return False
        if size > self._left:
            self.skipped += 1
            return False
        self._left -= size
        return True

    def _examine(self, digest: bytes, data: bytes) -> None:
        """What an ELF file says about itself."""
        if digest not in self.binaries:
            self.binaries[digest] = examine(data, self._check)
