"""A Tree becomes an eStargz layer: gzip that can also be read file by file from a registry.

Each file's content begins a gzip member, and a table of contents at the end says where
(the document "eStargz" of github.com/containerd/stargz-snapshotter). Readers that do not know
it see a gzip layer with two more files, ``.no.prefetch.landmark`` and ``stargz.index.json``, which
engines pass on to the filesystem. Not for other layers (``layer_writer``): a member for each
file compresses worse, so this is written only on request.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from homeport.content.blob import BytesBlob, verified
from homeport.content.digest import Digest
from homeport.content.reading import Readable
from homeport.content.store import Store, StoreWriter
from homeport.errors import HomeportError
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.tree.compression import Encoder
from homeport.tree.layer_writer import WrittenLayer
from homeport.tree.node import Node, Source, Tree
from homeport.tree.tar_writer import END, Entry, entries

TOC_DIGEST = "containerd.io/snapshot/stargz/toc.digest"
UNCOMPRESSED_SIZE = "io.containers.estargz.uncompressed-size"

#: Bytes of content in one gzip member, as the reference implementation has it.
_CHUNK = 4 << 20
_TOC = b"stargz.index.json"
#: Says that no file is to be fetched ahead of the others.
_LANDMARK = b".no.prefetch.landmark"
_SOURCE = Source(kind="step", name="estargz")
_TYPES = {"file": "reg", "directory": "dir"}  # all others are called as they are


class NameTaken(HomeportError):
    """The tree has a file where eStargz puts one of its own."""

    id = "estargz-name-taken"
    exit_code = 2


def write_estargz(
    tree: Tree,
    encoder: Encoder,
    store: Store,
    cancel: CancelToken,
    advance: Callable[[int], None] = lambda written: None,
) -> WrittenLayer:
    """Write ``tree`` as an eStargz layer into ``store``, with gzip members of ``encoder``.

    Raises what ``layer_writer.write_layer`` does, and ``NameTaken``.
    """
    for name in (_TOC, _LANDMARK):
        if name in tree:
            raise NameTaken(f"{path_text(name)} is a name that eStargz uses itself")
    with store.writer() as writer:
        members = _Members(writer, encoder, advance)
        marked = Tree({**tree, _LANDMARK: _own_file(b"\x0f")})
        rows = [row for entry in entries(marked) for row in _rows(entry, marked, members, cancel)]
        document = msgspec.json.encode({"version": 1, "entries": rows})
        members.finish()
        toc_offset = writer.size
        (toc,) = entries(Tree({_TOC: _own_file(document)}))
        members.add(toc.header + document + bytes(toc.padding) + END)
        members.finish()
        writer.write(_footer(toc_offset))
        blob = writer.commit(sync=False)
    return WrittenLayer(
        blob=blob,
        diff_id=Digest.finished(members.hasher),
        raw_size=members.raw_size,
        compression="gzip",
        pieces=members.count,
        cached_pieces=0,
        annotations={
            TOC_DIGEST: str(Digest.of(document)),
            UNCOMPRESSED_SIZE: str(members.raw_size),
        },
    )


class _Members:
    """The gzip members written so far, and what is to be in the next."""

    def __init__(
        self, writer: StoreWriter, encoder: Encoder, advance: Callable[[int], None]
    ) -> None:
        self._writer = writer
        self._encoder = encoder
        self._advance = advance
        self._next: list[bytes] = []
        self.hasher = hashlib.sha256()
        self.raw_size = self.count = 0

    def add(self, data: bytes) -> None:
        self._next.append(data)

    def begin(self) -> int:
        """Begin a member; where it begins in the layer."""
        self.finish()
        return self._writer.size

    def finish(self) -> None:
        data = b"".join(self._next)
        self._next = []
        if data:
            self._writer.write(self._encoder.encode(data))
            self.hasher.update(data)
            self.raw_size += len(data)
            self.count += 1
            self._advance(len(data))


def _rows(
    entry: Entry, tree: Tree, members: _Members, cancel: CancelToken
) -> Iterator[dict[str, Any]]:
    """Write one entry, and give its rows of the table: one, or one for each chunk."""
    members.add(entry.header)
    node, name = entry.node, entry.path.decode("utf-8", "replace")
    row = _row(name, node)
    content = entry.content
    if content is None:
        yield row
        return
    row |= {"size": content.size, "digest": str(content.digest)}
    several = content.size > _CHUNK
    with verified(content, path_text(entry.path)) as stream:
        for at in range(0, content.size, _CHUNK):
            cancel.check()
            offset = members.begin()
            data = _exactly(stream, min(_CHUNK, content.size - at))
            members.add(data)
            row |= {"offset": offset, "chunkDigest": str(Digest.of(data))}
            if several:
                row |= {"chunkOffset": at, "chunkSize": len(data)}
            yield row
            row = {"name": name, "type": "chunk"}
    members.add(bytes(entry.padding))


def _exactly(stream: Readable, size: int) -> bytes:
    """``size`` bytes of a verified stream, which raises where it ends early."""
    parts: list[bytes] = []
    while size:
        parts.append(stream.read(size))
        size -= len(parts[-1])
    return b"".join(parts)


def _row(name: str, node: Node) -> dict[str, Any]:
    """A row of the table: what tar says, in the field names of the format."""
    row: dict[str, Any] = {
        "name": name + "/" * (node.type == "directory" and name != ""),
        "type": _TYPES.get(node.type, node.type),
        "modtime": datetime.fromtimestamp(node.mtime // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "mode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
    }
    if node.target:
        row["linkName"] = node.target.decode("utf-8", "replace")
    if node.type in ("char", "block"):
        row["devMajor"], row["devMinor"] = node.device
    if node.xattrs and node.type != "hardlink":
        row["xattrs"] = {
            key.decode("utf-8", "replace"): b64encode(value).decode()
            for key, value in sorted(node.xattrs.items())
        }
    return row


def _own_file(data: bytes) -> Node:
    return Node(type="file", mode=0o644, content=BytesBlob(data), source=_SOURCE)


def _footer(toc_offset: int) -> bytes:
    """An empty gzip member whose extra field says where the table's member begins."""
    text = b"%016xSTARGZ" % toc_offset
    field = b"SG" + len(text).to_bytes(2, "little") + text
    header = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + len(field).to_bytes(2, "little") + field
    return header + b"\x01\x00\x00\xff\xff" + bytes(8)
