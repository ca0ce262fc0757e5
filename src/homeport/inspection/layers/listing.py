"""One layer as a list: every entry of its tar, in order, with a digest of each file.

A layer is decoded once; the list is kept in the store under the layer's digest, so that a
second look decompresses nothing. Of contents only package databases are kept
(``keeping``): ``contents`` reads others again when somebody wants some. Not for what
layers mean together (``history``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from typing import Literal

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.reading import Readable
from homeport.content.store import Store
from homeport.copying.errors import CopyError, shown
from homeport.copying.tarstream import Member
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.inspection.binaries.elf import MAGIC as ELF_MAGIC
from homeport.inspection.binaries.facts import BinaryFacts, examine
from homeport.inspection.code_hash import code_hash
from homeport.inspection.layers.read_ahead import CHUNK, ReadAhead
from homeport.inspection.layers.retained_files import MAX_TOTAL, is_kept
from homeport.progress import CancelToken
from homeport.tree.decompression import MAGIC_LENGTH, codec_of, decompressed
from homeport.tree.layer_reader import LayerReader
from homeport.tree.tar_reader import BadArchive, clean

MAX_ENTRIES = 5_000_000
MAX_BYTES = 256 << 30
MAX_RATIO = 1_100  # deflate's own bound is 1032; zstd's bombs go far beyond
_RATIO_MATTERS = 1 << 30  # below this a layer may unfold to whatever it likes
_NAMESPACE = "layer-listing"
_KEPT = "layer-kept"
_STEP = 1 << 18
_UNCLEAN = (b".", b"/", b"")
_LONGEST = 4096  # bytes of a path
_MAX_BINARY = 256 << 20

Kind = Literal["file", "directory", "symlink", "hardlink", "char", "block", "fifo"]


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a layer.

    path:   cleaned: relative, no ``.`` or ``..``; the root is ``b""``
    target: of a symlink its text; of a hardlink the cleaned path of the file
    mtime:  nanoseconds since 1970
    sha256: of a file's content, 32 bytes; empty for an empty file and all that is no file
    start:  the first four bytes of a file
    """

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    target: bytes
    sha256: bytes
    start: bytes
    device: tuple[int, int] = (0, 0)
    xattrs: dict[bytes, bytes] | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A whole layer.

    digest:    of the blob, as it travels
    size:      of the blob
    diff_id:   digest of the tar
    tar_size:  of the tar
    codec:     gzip, zstd, xz, bzip2 or none, by its first bytes
    oddities:  what a reader should know: names that were cleaned, entries that repeat
    """

    digest: str
    size: int
    diff_id: str
    tar_size: int
    codec: str
    entries: tuple[Entry, ...]
    oddities: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Of a layer's contents what every look asks for, by the content's sha256.

    binaries: what ELF files say about themselves
    skipped: how many files were left out because all together were too large
    """

    texts: dict[bytes, bytes] = {}
    binaries: dict[bytes, BinaryFacts] = {}
    skipped: int = 0


Apart = Callable[[Blob, CancelToken], tuple[Listing, Kept] | None]


class CannotRead(HomeportError):
    """A layer that cannot be looked into: encrypted, foreign and absent, or of no known form."""

    id = "cannot-read-layer"


def list_layer(
    blob: Blob,
    store: Store | None,
    cancel: CancelToken,
    *,
    what: str = "the layer",
    apart: Apart | None = None,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
) -> tuple[Listing, Kept]:
    """The list of a layer and what is kept of it, from the store if it is known there.

    apart: tried first to list a layer that is not; ``None`` from it says nothing

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    key = f"{code_hash()} {blob.digest} {blob.size}"
    if store and (known := _recall(store, key)):
        return known
    found = apart(blob, cancel) if apart is not None else None
    try:
        listing, kept = found or _read(blob, cancel, what, max_entries, max_bytes)
    except CopyError as error:
        raise BadArchive(f"{what}: {error.what}", where=error.where) from error
    if store:
        store.remember(_KEPT, key, msgspec.msgpack.encode(kept))
        store.remember(_NAMESPACE, key, msgspec.msgpack.encode(listing))
    return listing, kept


def open_tar(blob: Blob, what: str) -> tuple[Readable, str]:
    """The verified tar in a layer's blob, and the codec that it was compressed with."""
    with blob.open() as stream:
        start = stream.read(MAGIC_LENGTH)
    return decompressed(verified(blob, what), what), codec_of(start)


def _recall(store: Store, key: str) -> tuple[Listing, Kept] | None:
    listing, kept = store.recall(_NAMESPACE, key), store.recall(_KEPT, key)
    if listing is None or kept is None:
        return None
    try:
        return (
            msgspec.msgpack.decode(listing, type=Listing),
            msgspec.msgpack.decode(kept, type=Kept),
        )
    except msgspec.DecodeError:  # damaged: read again and replaced
        store.forget(_NAMESPACE, key)
        return None


def _read(
    blob: Blob, cancel: CancelToken, what: str, max_entries: int, max_bytes: int
) -> tuple[Listing, Kept]:
    stream, codec = open_tar(blob, what)
    limit = min(max_bytes, max(_RATIO_MATTERS, blob.size * MAX_RATIO))
    with closing(ReadAhead(stream, limit, what, cancel)) as ahead:
        tar = LayerReader(ahead)
        entries: list[Entry] = []
        odd, keep = _Oddities(), _Keeper(cancel.check)
        while True:
            _add_small(tar, entries, max_entries, odd, keep)
            if (member := tar.next()) is None:
                break
            if len(entries) >= max_entries:
                raise TooLarge(f"{what} has more than {max_entries} entries")
            entries.append(_entry(member, _cleaned(member.name, odd), tar, odd, keep))
        while ahead.read(CHUNK):  # what follows the end of the archive is part of both digests
            pass
    listing = Listing(
        digest=str(blob.digest),
        size=blob.size,
        diff_id="sha256:" + ahead.hasher.hexdigest(),
        tar_size=ahead.size,
        codec=codec,
        entries=tuple(entries),
        oddities=odd.said(entries),
    )
    return listing, Kept(texts=keep.texts, binaries=keep.binaries, skipped=keep.skipped)


def _add_small(
    tar: LayerReader, entries: list[Entry], most: int, odd: _Oddities, keep: _Keeper
) -> None:
    """The small members that come next: nearly all of most layers, so every step counts."""
    for (name, kind, text, (mode, uid, gid), size, mtime), data in tar.small():
        path = _cleaned(name, odd)
        digest = b""
        if data:
            digest = hashlib.sha256(data).digest()
            if keep.wants(path, size):
                keep.texts[digest] = data
            elif data.startswith(ELF_MAGIC):
                keep.examine(digest, data)
        target = b""
        if text and kind != "file":
            target = _cleaned(text, odd) if kind == "hardlink" else text
        entries.append(
            Entry(
                path, kind, mode, uid, gid, size, mtime * 1_000_000_000, target, digest, data[:4],  # type: ignore[arg-type]  # KINDS has these words
            )
        )  # fmt: skip
        if len(entries) == most:
            break


def _entry(member: Member, path: bytes, tar: LayerReader, odd: _Oddities, keep: _Keeper) -> Entry:
    kind = member.kind
    target, sha256, start = b"", b"", b""
    if kind == "file":
        if member.size:
            kept = keep.wants(path, member.size)
            sha256, start = _keep(tar, keep) if kept else _digest(tar, member.size, keep)
    elif kind == "symlink":
        target = member.link
    elif kind == "hardlink":
        target = _cleaned(member.link, odd)
    return Entry(
        path, kind, member.mode, member.uid, member.gid, member.size, member.mtime,  # type: ignore[arg-type]  # KINDS has these words
        target, sha256, start, member.device, member.xattrs or None,
    )  # fmt: skip


class _Keeper:
    """Contents that are kept, up to a total."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check
        self.texts: dict[bytes, bytes] = {}
        self.binaries: dict[bytes, BinaryFacts] = {}
        self.skipped = 0
        self._left = MAX_TOTAL

    def wants(self, path: bytes, size: int) -> bool:
        if not is_kept(path, size):
            return False
        if size > self._left:
            self.skipped += 1
            return False
        self._left -= size
        return True

    def examine(self, digest: bytes, data: bytes) -> None:
        """Keep what an ELF file says about itself."""
        if digest not in self.binaries:
            self.binaries[digest] = examine(data, self.check)


def _keep(tar: LayerReader, keep: _Keeper) -> tuple[bytes, bytes]:
    data = b"".join(iter(lambda: tar.read(_STEP), b""))
    digest = hashlib.sha256(data).digest()
    keep.texts[digest] = data
    return digest, data[:4]


def _digest(tar: LayerReader, size: int, keep: _Keeper) -> tuple[bytes, bytes]:
    """A file's digest and first bytes; of a program also what it says about itself."""
    data = tar.read(_STEP)
    while len(data) < 4 and (more := tar.read(_STEP)):
        data += more
    start = data[:4]
    if start == ELF_MAGIC and size <= _MAX_BINARY:
        data = b"".join([data, *iter(lambda: tar.read(_STEP), b"")])
        digest = hashlib.sha256(data).digest()
        keep.examine(digest, data)
        return digest, start
    hasher = hashlib.sha256(data)
    while data := tar.read(_STEP):
        hasher.update(data)
    return hasher.digest(), start


def _cleaned(name: bytes, odd: _Oddities) -> bytes:
    """The path as engines make it: an entry that would leave the root stays in it."""
    if (
        b"/." not in name and b"//" not in name and name[:1] not in _UNCLEAN
        and name[-1:] != b"/" and len(name) <= _LONGEST and b"\0" not in name
    ):  # fmt: skip
        return name  # as nearly all
    try:
        return clean(name)
    except BadArchive:
        odd.outside(name)
        parts: list[bytes] = []
        for part in name.replace(b"\0", b"").split(b"/"):
            if part == b"..":
                del parts[-1:]
            elif part not in (b"", b"."):
                parts.append(part)
        return b"/".join(parts)[:_LONGEST]


class _Oddities:
    """What was wrong with names, a few examples each."""

    def __init__(self) -> None:
        self._outside: list[str] = []
        self._count = 0

    def outside(self, name: bytes) -> None:
        self._count += 1
        if len(self._outside) < 3:
            self._outside.append(shown(name, 100))

    def said(self, entries: list[Entry]) -> tuple[str, ...]:
        lines = []
        if self._count:
            lines.append(
                f"{self._count} names leave the root or are too long: {', '.join(self._outside)}"
            )
        repeated = len(entries) - len({entry.path for entry in entries})
        if repeated:
            lines.append(f"{repeated} entries have the name of an earlier one")
        return tuple(lines)


def require_diff_id(listing: Listing, expected: str, what: str) -> None:
    """The tar must be the one that the config names. Raises ``IntegrityError``."""
    if expected.startswith("sha256:") and listing.diff_id != expected:
        raise IntegrityError(
            f"{what} unpacks to {listing.diff_id}, the config says {expected}",
            where={"digest": listing.digest},
        )
