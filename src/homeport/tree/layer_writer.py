"""A Tree becomes a layer: compressed, hashed and stored in one pass of bounded memory.

Pieces (``homeport.tree.pieces``) that were compressed before are taken from the store,
so that a warm build copies files. Whatever goes into a layer is verified on the way:
contents against their digest, cached pieces against theirs; a damaged piece is dropped
and made again, a damaged content raises ``IntegrityError``, and nothing of a failed
layer or of an unverified file stays in the store.

Not for the meaning of a layer in an image (``homeport.assemble``).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from homeport.content.blob import Blob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK, VerifiedReader
from homeport.content.store import Store
from homeport.errors import IntegrityError, UsageError
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.tree.compression import Encoder
from homeport.tree.node import Tree
from homeport.tree.pieces import Extent, Piece, Unit, units
from homeport.tree.tar_writer import entries

_NAMESPACE = "pieces"


class WrittenLayer(msgspec.Struct, frozen=True, kw_only=True):
    """A layer in the store.

    digest, size: of the compressed bytes, which ``blob`` holds
    diff_id, raw_size: of the tar stream inside
    compression: ``gzip``, ``zstd`` or ``none``
    annotations: of its descriptor in the manifest
    pieces, cached_pieces: how many there were, and how many were only copied
    """

    blob: FileBlob
    diff_id: Digest
    raw_size: int
    compression: str
    pieces: int
    cached_pieces: int
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def digest(self) -> Digest:
        return self.blob.digest

    @property
    def size(self) -> int:
        return self.blob.size


class _CachedPiece(msgspec.Struct, frozen=True):
    """What the store remembers of a piece: where its compressed bytes are."""

    digest: str
    size: int


_CACHED_PIECE_DECODER = msgspec.json.Decoder(_CachedPiece)


def write_layer(
    tree: Tree,
    encoder: Encoder,
    store: Store,
    cancel: CancelToken,
    advance: Callable[[int], None] = lambda written: None,
) -> WrittenLayer:
    """Write ``tree`` as a layer into ``store``.

    ``advance`` is told how many bytes of the tar stream were added. Raises ``NotInTar``,
    ``IntegrityError``, ``CannotWrite``, ``Interrupted``.
    """
    raw_hasher = hashlib.sha256()
    raw_size = pieces = cached = 0
    with store.writer() as writer:
        for unit in units(entries(tree)):
            for member, raw, was_cached in _members(unit, encoder, store, cancel):
                writer.write(member)
                raw_hasher.update(raw)
                raw_size += len(raw)
                pieces += 1
                cached += was_cached
                advance(len(raw))
        # A layer is cheap to make again and verified by its readers: no need to wait
        # for the disk.
        blob = writer.commit(sync=False)
    return WrittenLayer(
        blob=blob,
        diff_id=Digest.finished(raw_hasher),
        raw_size=raw_size,
        compression=encoder.name,
        pieces=pieces,
        cached_pieces=cached,
    )


def _members(
    unit: Unit, encoder: Encoder, store: Store, cancel: CancelToken
) -> Iterator[tuple[bytes, bytes, bool]]:
    """(compressed bytes, the bytes they stand for, whether from the cache) of each piece."""
    fresh: list[tuple[str, FileBlob]] = []
    with contextlib.closing(_Contents(cancel)) as contents:
        for piece in unit.pieces:
            cancel.check()
            key = f"{encoder.id} {piece.key()}"
            if found := _recall(key, piece.size, encoder, store):
                yield *found, True
                continue
            raw = contents.read(piece)
            member = encoder.encode(raw)
            fresh.append((key, store.put_bytes(member)))
            yield member, raw, False
        contents.finish()
    # Only now every content of the unit is known to be what it should be.
    for key, blob in fresh:
        answer = _CachedPiece(digest=str(blob.digest), size=blob.size)
        store.remember(_NAMESPACE, key, msgspec.json.encode(answer))


def _recall(key: str, raw_size: int, encoder: Encoder, store: Store) -> tuple[bytes, bytes] | None:
    """The compressed and the plain bytes of a piece, or ``None`` if they must be made."""
    answer = store.recall(_NAMESPACE, key)
    if answer is None:
        return None
    blob: FileBlob | None = None
    try:
        known = _CACHED_PIECE_DECODER.decode(answer)
        blob = store.get(Digest.parse(known.digest), known.size)
        if blob is None:
            return None
        with verified(blob, "cached piece") as stream:
            member = stream.readall()
        raw = encoder.decode(member, raw_size)
        if len(raw) != raw_size:
            raise IntegrityError("the cached piece has another size")
    except (msgspec.DecodeError, UsageError, IntegrityError, OSError):
        # Damaged, or pruned under our feet: it is made again and replaced.
        store.forget(_NAMESPACE, key)
        if blob is not None:
            store.drop(blob.digest)
        return None
    return member, raw


class _Contents:
    """Reads the extents of a unit in order and verifies every content to its end."""

    def __init__(self, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._blob: Blob | None = None
        self._stream: VerifiedReader | None = None
        self._position = 0

    def read(self, piece: Piece) -> bytes:
        return b"".join(
            part if isinstance(part, bytes) else self._extent(part) for part in piece.parts
        )

    def finish(self) -> None:
        """Read what is left of the content at hand, so that it is verified."""
        if self._blob is not None:
            self._advance(self._blob.size, keep=False)
        self.close()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._blob = None

    def _extent(self, extent: Extent) -> bytes:
        if self._blob is not extent.blob or extent.offset < self._position:
            self.finish()
            self._blob, self._position = extent.blob, 0
            what = path_text(extent.path)
            self._stream = verified(extent.blob, what)
        self._advance(extent.offset, keep=False)
        return self._advance(extent.offset + extent.length, keep=True)

    def _advance(self, end: int, *, keep: bool) -> bytes:
        parts: list[bytes] = []
        assert self._stream is not None
        while self._position < end:
            self._cancel.check()
            chunk = self._stream.read(min(CHUNK, end - self._position))
            self._position += len(chunk)
            if keep:
                parts.append(chunk)
        return b"".join(parts)
