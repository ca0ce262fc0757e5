"""Archives and stacked layers as Trees, with every content in the store.

Contents of one archive go into one file of the store, so that a layer of ten thousand files
does not become ten thousand files. What engines would reject is an error.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from homeport.budget import Budget, Limits
from homeport.content.blob import Blob, FileBlob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK, Readable
from homeport.content.store import Store, StoreWriter
from homeport.layers.entry import BadArchive, Entry
from homeport.layers.history import History
from homeport.layers.listing import Archive, Listing, list_archive, list_layer
from homeport.layers.overlay import stack, unpack
from homeport.progress import CancelToken
from homeport.tree.decompression import decompressed
from homeport.tree.node import Node, Source, Tree

A = TypeVar("A", bound=Archive)


class SpooledBlob(msgspec.Struct, frozen=True):
    """A part of a file with many contents; ``digest`` was computed when it was written."""

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
    limits: Limits | None = None,
) -> Tree:
    """The filesystem in the archive ``stream``, which is read to its end and closed.

    It is a complete filesystem: no name in it is a whiteout. limits: other than those of the
    environment. Raises ``BadArchive``,
    ``IntegrityError``, ``TooLarge``, ``CannotWrite``, ``Interrupted``.
    """
    what = str(source)

    def read(contents: _Spooled) -> Archive:
        return list_archive(decompressed(stream, what), contents, cancel, Budget(what, limits))

    archive, blobs = _spool(read, store, cancel, what)
    history = unpack(archive.entries, Budget(what, limits))
    return _tree(history, blobs, [source], what)


def read_layers(layers: Sequence[Blob], store: Store, cancel: CancelToken) -> Tree:
    """The filesystem that ``layers`` result in, lowest first. A node's source is its layer.

    Raises ``BadArchive``, ``IntegrityError``, ``TooLarge``, ``CannotWrite``, ``Interrupted``.
    """
    listings: list[Listing] = []
    blobs: dict[bytes, SpooledBlob] = {}
    for layer in layers:
        what = f"layer {layer.digest}"

        def read(contents: _Spooled, layer: Blob = layer, what: str = what) -> Listing:
            return list_layer(layer, contents, cancel, what=what)

        listing, found = _spool(read, store, cancel, what)
        listings.append(listing)
        blobs.update(found)
    sources = [Source(kind="layer", name=str(layer.digest)) for layer in layers]
    return _tree(stack(listings), blobs, sources, "the image")


def _spool(
    read: Callable[[_Spooled], A], store: Store, cancel: CancelToken, what: str
) -> tuple[A, dict[bytes, SpooledBlob]]:
    """An archive, and its contents by sha256."""
    with store.writer() as writer:
        contents = _Spooled(writer, cancel)
        archive = read(contents)
        blob = writer.commit(sync=False) if writer.size else None
    if archive.unusable:
        raise BadArchive(
            f"{what}: {archive.unusable} leaves the root or is not a valid name",
            where={"member": archive.unusable},
        )
    if blob is None:
        return archive, {}
    return archive, {
        sha256: SpooledBlob(blob, start, size, Digest.parse(f"sha256:{sha256.hex()}"))
        for sha256, (start, size) in contents.places.items()
    }


class _Spooled:
    """Contents one after the other in one file of the store, each once."""

    def __init__(self, writer: StoreWriter, cancel: CancelToken) -> None:
        self._writer = writer
        self._cancel = cancel
        self.places: dict[bytes, tuple[int, int]] = {}  # sha256 → start and size

    def small(self, path: bytes, data: bytes) -> bytes:
        sha256 = hashlib.sha256(data).digest()
        if sha256 not in self.places:
            self.places[sha256] = (self._writer.size, len(data))
            self._writer.write(data)
        return sha256

    def large(self, path: bytes, size: int, read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
        start = self._writer.size
        hasher = hashlib.sha256()
        first = b""
        while data := read(CHUNK):
            self._cancel.check()
            self._writer.write(data)
            hasher.update(data)
            first = first if len(first) >= 4 else first + data[:4]
        self.places[hasher.digest()] = (start, self._writer.size - start)
        return hasher.digest(), first[:4]


def _tree(
    history: History, blobs: Mapping[bytes, SpooledBlob], sources: Sequence[Source], what: str
) -> Tree:
    """The final files."""
    if history.error:
        raise BadArchive(f"{what}: {history.error}")
    nodes: dict[bytes, Node] = {}
    linked: dict[int, list[bytes]] = {}  # id of a file's entry → its other names
    for path, found in history.final.items():
        source = sources[found.layer]
        if found.entry.kind != "hardlink":
            nodes[path] = _node(found.entry, blobs, source)
        else:
            linked.setdefault(id(history.links[path].entry), []).append(path)
    for path, found in history.final.items():
        if names := linked.pop(id(found.entry), None):
            _link(nodes, path, names, history, sources)
    for names in linked.values():  # the name that had the content was removed
        first, *others = sorted(names, key=lambda path: path.split(b"/"))
        file = history.links[first].entry
        nodes[first] = _node(file, blobs, sources[history.final[first].layer])
        _link(nodes, first, others, history, sources)
    return Tree(nodes)


def _link(
    nodes: dict[bytes, Node], file: bytes, names: Sequence[bytes], history: History,
    sources: Sequence[Source],
) -> None:  # fmt: skip
    """Make ``names`` hard links to ``file``: one inode, so only the source differs."""
    for name in names:
        nodes[name] = msgspec.structs.replace(
            nodes[file], type="hardlink", target=file, content=None,
            source=sources[history.final[name].layer],
        )  # fmt: skip


def _node(entry: Entry, blobs: Mapping[bytes, SpooledBlob], source: Source) -> Node:
    return Node(
        type=entry.kind,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime=entry.mtime,
        xattrs=entry.xattrs or {},
        target=entry.target if entry.kind == "symlink" else b"",
        content=blobs[entry.sha256] if entry.sha256 else None,
        device=entry.device,
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
