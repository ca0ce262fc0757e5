"""One layer as a list: every entry of its tar, in order, with a digest of each file.

A layer is decoded and verified once; ``Contents`` receives the content of each file on the way.
Not for stacking layers (``overlay``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.reading import Readable
from homeport.copying.errors import CopyError, shown
from homeport.copying.tarstream import Member
from homeport.errors import IntegrityError, TooLarge
from homeport.layers.entry import BadArchive, Entry, clean
from homeport.layers.read_ahead import CHUNK, ReadAhead
from homeport.layers.tar_reader import LayerReader
from homeport.progress import CancelToken
from homeport.quantities import counted
from homeport.tree.decompression import MAGIC_LENGTH, codec_of, decompressed

MAX_ENTRIES = 5_000_000
MAX_BYTES = 256 << 30
MAX_RATIO = 1_100  # deflate's own bound is 1032; zstd's bombs go far beyond
_RATIO_MATTERS = 1 << 30  # below this a layer may unpack to any size
_STEP = 1 << 18


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """A complete tar archive.

    diff_id:   digest of the tar
    tar_size:  of the tar
    anomalies:  names that were cleaned, entries that repeat
    unusable:  the first name that leaves the root or is too long, printable; "" if there is none
    """

    diff_id: str
    tar_size: int
    entries: tuple[Entry, ...]
    anomalies: tuple[str, ...] = ()
    unusable: str = ""


class Listing(Archive, frozen=True, kw_only=True):
    """A complete layer.

    digest:    of the blob, compressed
    size:      of the blob
    codec:     gzip, zstd, xz, bzip2 or none, by its first bytes
    """

    digest: str
    size: int
    codec: str


class Contents(Protocol):
    """Receives the content of every file that is not empty, in the order of the archive."""

    def small(self, path: bytes, data: bytes) -> bytes:
        """A content in one piece; returns its sha256."""
        ...

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        """A content to read piece by piece; returns its sha256 and first four bytes."""
        ...


class Hashed:
    """Hashes contents and drops them."""

    def small(self, path: bytes, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        data = read_start(read)
        start = data[:4]
        hasher = hashlib.sha256(data)
        while data := read(_STEP):
            hasher.update(data)
        return hasher.digest(), start


def read_start(read: Callable[[int], bytes]) -> bytes:
    """The first piece of a content, long enough for the magic number of its format."""
    data = read(_STEP)
    while len(data) < 4 and (more := read(_STEP)):
        data += more
    return data


def list_layer(
    blob: Blob,
    contents: Contents,
    cancel: CancelToken,
    *,
    what: str = "the layer",
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
) -> Listing:
    """The list of a layer, whose digest is verified.

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    stream, codec = open_tar(blob, what)
    limit = min(max_bytes, max(_RATIO_MATTERS, blob.size * MAX_RATIO))
    found = list_archive(
        stream, contents, cancel, what=what, max_entries=max_entries, max_bytes=limit
    )
    return Listing(
        digest=str(blob.digest), size=blob.size, codec=codec, diff_id=found.diff_id,
        tar_size=found.tar_size, entries=found.entries, anomalies=found.anomalies,
        unusable=found.unusable,
    )  # fmt: skip


def list_archive(
    stream: Readable,
    contents: Contents,
    cancel: CancelToken,
    *,
    what: str,
    max_entries: int,
    max_bytes: int,
) -> Archive:
    """The list of a tar archive, decompressed. Reads the stream to its end and closes it.

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    entries: list[Entry] = []
    names = _Names()
    with closing(ReadAhead(stream, max_bytes, what, cancel)) as ahead:
        tar = LayerReader(ahead)
        try:
            while True:
                _add_small(tar, entries, max_entries, names, contents)
                if (member := tar.next()) is None:
                    break
                if len(entries) >= max_entries:
                    raise TooLarge(f"{what} has more than {max_entries} entries")
                entries.append(_entry(member, tar, names, contents))
        except CopyError as error:
            raise BadArchive(f"{what}: {error.what}", where=error.where) from error
        while ahead.read(CHUNK):  # bytes behind the end of the archive are part of both digests
            pass
    return Archive(
        diff_id="sha256:" + ahead.hasher.hexdigest(),
        tar_size=ahead.size,
        entries=tuple(entries),
        anomalies=names.anomalies(entries),
        unusable=names.unusable[0] if names.unusable else "",
    )


def open_tar(blob: Blob, what: str) -> tuple[Readable, str]:
    """The verified tar in a layer's blob, and the codec that it was compressed with."""
    with blob.open() as stream:
        start = stream.read(MAGIC_LENGTH)
    return decompressed(verified(blob, what), what), codec_of(start)


def require_diff_id(listing: Listing, expected: str, what: str) -> None:
    """Check the tar against the config. Raises ``IntegrityError``."""
    if expected.startswith("sha256:") and listing.diff_id != expected:
        raise IntegrityError(
            f"{what} unpacks to {listing.diff_id}, the config lists {expected}",
            where={"digest": listing.digest},
        )


def _add_small(
    tar: LayerReader, entries: list[Entry], most: int, names: _Names, contents: Contents
) -> None:
    """Add the small members that follow: nearly all of most layers, so this loop must be fast."""
    take, clean_name = contents.small, names.clean
    for (name, kind, text, (mode, uid, gid), size, mtime), data in tar.small():
        path = clean_name(name)
        target = b""
        if text and kind != "file":
            target = clean_name(text) if kind == "hardlink" else text
        entries.append(
            Entry(
                path, kind, mode, uid, gid, size, mtime * 1_000_000_000, target,  # type: ignore[arg-type]  # KINDS has these words
                take(path, data) if data else b"", data[:4],
            )
        )  # fmt: skip
        if len(entries) == most:
            break


def _entry(member: Member, tar: LayerReader, names: _Names, contents: Contents) -> Entry:
    kind, path = member.kind, names.clean(member.name)
    target, sha256, start = b"", b"", b""
    if kind == "file":
        if member.size:
            sha256, start = contents.large(path, member.size, tar.read)
    elif kind == "symlink":
        target = member.link
    elif kind == "hardlink":
        target = names.clean(member.link)
    return Entry(
        path, kind, member.mode, member.uid, member.gid, member.size, member.mtime,  # type: ignore[arg-type]  # KINDS has these words
        target, sha256, start, member.device, member.xattrs or None,
    )  # fmt: skip


class _Names:
    """Names as paths below the root, with a count and examples of invalid ones."""

    def __init__(self) -> None:
        self.unusable: list[str] = []
        self._count = 0

    def clean(self, name: bytes) -> bytes:
        path, usable = clean(name)
        if not usable:
            self._count += 1
            if len(self.unusable) < 3:
                self.unusable.append(shown(name, 100))
        return path

    def anomalies(self, entries: list[Entry]) -> tuple[str, ...]:
        lines = []
        if self._count:
            lines.append(
                f"{counted(self._count, 'name')} outside the root or too long: "
                f"{', '.join(self.unusable)}"
            )
        repeated = len(entries) - len({entry.path for entry in entries})
        if repeated:
            lines.append(counted(repeated, "repeated entry", "repeated entries"))
        return tuple(lines)
