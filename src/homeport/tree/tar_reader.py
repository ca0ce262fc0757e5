"""A tar archive becomes a Tree: a layer, a package's data, an archive of another tool.

Any compression; contents go to the store, all of one archive into one spool file, so
that a layer of ten thousand files does not become ten thousand files. Names are cleaned
and stay in the root; what engines would refuse is refused. Whiteouts are entries like
others here: ``homeport.tree.stacking`` gives them their meaning.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from homeport.content.blob import FileBlob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK, Readable
from homeport.content.store import Store, StoreWriter
from homeport.copying.errors import CopyError, shown
from homeport.copying.tarstream import Member
from homeport.errors import HomeportError, TooLarge
from homeport.progress import CancelToken
from homeport.tree.decompression import decompressed
from homeport.tree.layer_reader import LayerReader
from homeport.tree.node import Node, Source, Tree

MAX_ENTRIES = 2_000_000
MAX_BYTES = 64 << 30
_MAX_PATH = 4096


class BadArchive(HomeportError):
    """A tar archive that is damaged, or whose entries would leave the root."""

    id = "bad-archive"


class SpooledBlob(msgspec.Struct, frozen=True):
    """A part of a spool file; ``digest`` was computed when it was written."""

    spool: FileBlob
    start: int
    size: int
    digest: Digest

    def open(self, offset: int = 0) -> BinaryIO:
        stream = self.spool.open(self.start + min(offset, self.size))
        return cast("BinaryIO", _Window(stream, max(0, self.size - offset)))

    def local_path(self) -> Path | None:
        return None


def read_tree(
    stream: Readable,
    store: Store,
    source: Source,
    cancel: CancelToken,
    *,
    max_bytes: int = MAX_BYTES,
    max_entries: int = MAX_ENTRIES,
) -> Tree:
    """The Tree in the archive ``stream``, which is read to its end.

    Of several entries with one name the last counts, as if they were unpacked in order.
    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``CannotWrite``, ``Interrupted``.
    """
    unpacked = decompressed(stream, str(source))
    tar = LayerReader(unpacked)
    found: dict[bytes, tuple[Member, _Content | None]] = {}
    with store.writer() as writer:
        spool = _Spool(writer, max_bytes, cancel)
        try:
            while member := tar.next():
                cancel.check()
                if len(found) >= max_entries:
                    raise TooLarge(f"{source} has more than {max_entries} entries")
                path = clean(member.name)
                found[path] = (member, spool.add(tar) if member.kind == "file" else None)
            while unpacked.read(CHUNK):  # so that checksums and digests at the end are checked
                cancel.check()
        except CopyError as error:
            raise BadArchive(f"{source}: {error.what}", where=error.where) from error
        blob = writer.commit(sync=False) if writer.size else None
    nodes = {
        path: _node(member, content, blob, source) for path, (member, content) in found.items()
    }
    return Tree(nodes)


def clean(name: bytes) -> bytes:
    """A name from an archive as a path of a Tree; ``BadArchive`` if it leaves the root."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise BadArchive(f"{shown(name)} leaves the root", where={"member": shown(name)})
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    path = b"/".join(parts)
    if len(path) > _MAX_PATH or b"\0" in path:
        raise BadArchive(f"{shown(name)} is no usable name", where={"member": shown(name)})
    return path


class _Content(msgspec.Struct, frozen=True):
    start: int
    size: int
    digest: Digest


class _Spool:
    """Contents one after the other in one file of the store."""

    def __init__(self, writer: StoreWriter, max_bytes: int, cancel: CancelToken) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._cancel = cancel

    def add(self, tar: LayerReader) -> _Content | None:
        """Append the current member's content."""
        start = self._writer.size
        hasher = hashlib.sha256()
        while data := tar.read(CHUNK):
            self._cancel.check()
            if self._writer.size + len(data) > self._max_bytes:
                raise TooLarge(f"the archive unpacks to more than {self._max_bytes} bytes")
            self._writer.write(data)
            hasher.update(data)
        size = self._writer.size - start
        return _Content(start, size, Digest.finished(hasher)) if size else None


def _node(member: Member, content: _Content | None, spool: FileBlob | None, source: Source) -> Node:
    blob = None
    if content is not None and spool is not None:
        blob = SpooledBlob(spool, content.start, content.size, content.digest)
    link = member.link if member.kind == "symlink" else b""
    if member.kind == "hardlink":
        link = clean(member.link)
    return Node(
        type=cast("Any", member.kind),
        mode=member.mode,
        uid=member.uid,
        gid=member.gid,
        mtime=member.mtime,
        xattrs=member.xattrs,
        target=link,
        content=blob,
        device=member.device,
        source=source,
    )


class _Window(io.RawIOBase):
    """The first ``left`` bytes of what is left of a stream."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = left

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        self._left -= len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
