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

from homeport.budget import Budget, Limits
from homeport.content.blob import Blob, verified
from homeport.content.reading import Readable
from homeport.copying.errors import CopyError, shown
from homeport.copying.tarstream import Member
from homeport.errors import IntegrityError
from homeport.layers.entry import MAX_PATH, BadArchive, Entry, clean
from homeport.layers.read_ahead import CHUNK, ReadAhead
from homeport.layers.tar_reader import LayerReader
from homeport.progress import CancelToken
from homeport.quantities import counted
from homeport.tree.decompression import MAGIC_LENGTH, codec_of, decompressed

#: What an entry takes in memory once it is listed and stacked, besides its path.
ENTRY_MEMORY = 500
_STEP = 1 << 18
_AT_ONCE = 1000  # entries that are counted together
_MAX_TIME = (1 << 63) - 1  # nanoseconds


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """A complete tar archive.

    diff_id:   digest of the tar
    tar_size:  of the tar
    path_bytes: of all paths together
    anomalies:  names that were cleaned, entries that repeat
    unusable:  the first name that leaves the root or is too long, printable; "" if there is none
    """

    diff_id: str
    tar_size: int
    entries: tuple[Entry, ...]
    path_bytes: int
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
    limits: Limits | None = None,
) -> Listing:
    """The list of a layer, whose digest is verified.

    limits: other than those of the environment

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    stream, codec = open_tar(blob, what)
    budget = Budget(what, limits, packed=blob.size)
    found = list_archive(stream, contents, cancel, budget)
    fields = {name: getattr(found, name) for name in Archive.__struct_fields__}
    return Listing(digest=str(blob.digest), size=blob.size, codec=codec, **fields)


def list_archive(
    stream: Readable, contents: Contents, cancel: CancelToken, budget: Budget
) -> Archive:
    """The list of a tar archive, decompressed. Reads the stream to its end and closes it.

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``Interrupted``.
    """
    entries: list[Entry] = []
    names = _Names(budget)
    with closing(ReadAhead(stream, budget, cancel)) as ahead:
        tar = LayerReader(ahead)
        try:
            while True:
                _add_small(tar, entries, names, contents)
                if (member := tar.next()) is None:
                    break
                entries.append(_entry(member, tar, names, contents, budget))
        except CopyError as error:
            raise BadArchive(f"{budget.what}: {error.what}", where=error.where) from error
        names.count()
        while ahead.read(CHUNK):  # bytes behind the end of the archive are part of both digests
            pass
    return Archive(
        diff_id="sha256:" + ahead.hasher.hexdigest(),
        tar_size=ahead.size,
        entries=tuple(entries),
        path_bytes=names.path_bytes,
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


def _add_small(tar: LayerReader, entries: list[Entry], names: _Names, contents: Contents) -> None:
    """Add the small members that follow: nearly all of most layers, so this loop must be fast."""
    take, clean_name = contents.small, names.clean
    for (name, kind, text, (mode, uid, gid), size, mtime), data in tar.small():
        path = clean_name(name)
        target = b""
        if text and kind != "file":
            target = names.target(text) if kind == "hardlink" else text
        entries.append(
            Entry(
                path, kind, mode, uid, gid, size, mtime * 1_000_000_000, target,  # type: ignore[arg-type]  # KINDS has these words
                take(path, data) if data else b"", data[:4],
            )
        )  # fmt: skip


def _entry(
    member: Member, tar: LayerReader, names: _Names, contents: Contents, budget: Budget
) -> Entry:
    kind, path = member.kind, names.clean(member.name)
    target, sha256, start = b"", b"", b""
    if kind == "file":
        if member.size:
            if tar.is_sparse:
                budget.data(member.size)  # the stream counts what is stored, not the holes
            sha256, start = contents.large(path, member.size, tar.read)
    elif kind == "symlink":
        target = names.link_text(member.link)
    elif kind == "hardlink":
        target = names.target(member.link)
    if target:
        budget.memory(len(target))
    if member.xattrs:
        budget.memory(sum(len(name) + len(value) for name, value in member.xattrs.items()))
    return Entry(
        path, kind, member.mode, member.uid, member.gid, member.size,  # type: ignore[arg-type]  # KINDS has these words
        names.time(member.mtime), target, sha256, start, member.device, member.xattrs or None,
    )  # fmt: skip


class _Names:
    """Names as paths below the root, with a count and examples of invalid ones."""

    def __init__(self, budget: Budget) -> None:
        self.unusable: list[str] = []
        self.path_bytes = 0
        self._count = 0
        self._times = 0
        self._budget = budget
        self._deep = 2 * budget.limits.depth  # a shorter path cannot be too deep
        self._uncounted = 0
        self._counted_bytes = 0

    def clean(self, name: bytes) -> bytes:
        """The path of the next entry."""
        path = self.target(name)
        self.path_bytes += len(path)
        self._uncounted += 1
        if len(path) > self._deep:
            self._budget.depth(path.count(b"/") + 1)
        if self._uncounted == _AT_ONCE:
            self.count()
        return path

    def target(self, name: bytes) -> bytes:
        """The path that a hard link names."""
        path, usable = clean(name)
        if not usable:
            self._invalid(name)
        return path

    def link_text(self, text: bytes) -> bytes:
        """The target of a symbolic link, as far as Linux allows."""
        if len(text) > MAX_PATH:
            self._invalid(text)
        return text[:MAX_PATH]

    def time(self, moment: int) -> int:
        """A time within 64 bits of nanoseconds: 1677 to 2262."""
        if -_MAX_TIME <= moment <= _MAX_TIME:
            return moment
        self._times += 1
        return _MAX_TIME if moment > 0 else -_MAX_TIME

    def count(self) -> None:
        """Spend what was added since the last call."""
        added = self.path_bytes - self._counted_bytes
        self._budget.entries(self._uncounted, added)
        self._budget.memory(self._uncounted * ENTRY_MEMORY + added)
        self._uncounted, self._counted_bytes = 0, self.path_bytes

    def _invalid(self, name: bytes) -> None:
        self._count += 1
        if len(self.unusable) < 3:
            self.unusable.append(shown(name, 100))

    def anomalies(self, entries: list[Entry]) -> tuple[str, ...]:
        lines = []
        if self._count:
            lines.append(
                f"{counted(self._count, 'name')} outside the root or too long: "
                f"{', '.join(self.unusable)}"
            )
        if self._times:
            lines.append(f"{counted(self._times, 'time')} outside 1677 to 2262")
        repeated = len(entries) - len({entry.path for entry in entries})
        if repeated:
            lines.append(counted(repeated, "repeated entry", "repeated entries"))
        return tuple(lines)
