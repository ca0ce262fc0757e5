"""A filesystem in memory for the COPY engine, without root and without a disk.

Starts empty or from a Tree and freezes to one. It returns errors as a kernel would (the same
``OSError``), so the engine's rules are tested for any owner by any user, and beside the real
directory of ``homeport.copying.rooted``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from homeport.content.blob import Blob, BytesBlob
from homeport.content.reading import CHUNK, Readable
from homeport.content.store import Store
from homeport.copying.metadata import Info, Metadata
from homeport.tree.node import Node, NodeType, Source, Tree

if TYPE_CHECKING:
    from homeport.copying.filesystem import Content

Keep = Callable[["Content"], Blob]


def in_memory(content: Content) -> Blob:
    """Keep contents in memory: for small ones and for tests."""
    return BytesBlob(b"".join(iter(lambda: content.read(CHUNK), b"")))


def in_store(store: Store) -> Keep:
    """Keep contents in the store."""
    return lambda content: store.put(cast("Readable", _Closable(content)))


class TreeFilesystem:
    """A filesystem as data, to be filled.

    source: what nodes say they come from
    keep:   makes a Blob of a content
    time:   mtime in nanoseconds of nodes for which none is asked
    """

    def __init__(
        self,
        source: Source,
        *,
        keep: Keep = in_memory,
        time: int = 0,
        tree: Tree | None = None,
    ) -> None:
        self.source = source
        self.keep = keep
        self.time = time
        self._top = _Inode(kind="directory", mode=0o755, mtime=time, source=source, children={})
        if tree is not None:
            self._load(tree)

    def root(self) -> TreeDirectory:
        return TreeDirectory(self, self._top)

    def freeze(self) -> Tree:
        """What was built. Of several names of one file the first has the content."""
        tree = Tree()
        first: dict[int, bytes] = {}
        pending = [(b"", self._top)]
        names: list[tuple[bytes, _Inode]] = []
        while pending:
            path, inode = pending.pop()
            if path:
                names.append((path, inode))
            for name, child in (inode.children or {}).items():
                pending.append((path + b"/" + name if path else name, child))
        names.sort(key=lambda item: item[0].split(b"/"))
        for path, inode in names:
            before = first.setdefault(id(inode), path)
            tree[path] = inode.node() if before == path else inode.node(before)
        return tree

    def _load(self, tree: Tree) -> None:
        made: dict[bytes, _Inode] = {b"": self._top}
        links = []
        for path, node in tree.items():
            if node.type == "hardlink":
                links.append((path, node.target))
            elif path == b"":
                self._top.take(node)
            else:
                self._hang(made, path, _Inode.of(node))
        for path, target in links:
            inode = made.get(target)
            if inode is None:
                raise ValueError(f"hard link {path!r} leads to no node of the tree")
            self._hang(made, path, inode)

    def _hang(self, made: dict[bytes, _Inode], path: bytes, inode: _Inode) -> None:
        parent, _, name = path.rpartition(b"/")
        if parent not in made:
            implied = _Inode(
                kind="directory", mode=0o755, mtime=self.time, source=inode.source, children={}
            )
            self._hang(made, parent, implied)
        above = made[parent]
        if above.children is None:
            raise ValueError(f"{parent!r} is no directory, but has {name!r} below it")
        above.children[name] = inode
        inode.links += 1
        if inode.children is not None:
            inode.parent = above
        made[path] = inode


class _Inode(msgspec.Struct, kw_only=True, eq=False):
    """A node while it is built; several names may share one."""

    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    target: bytes = b""
    content: Blob | None = None
    device: tuple[int, int] = (0, 0)
    source: Source
    children: dict[bytes, _Inode] | None = None
    parent: _Inode | None = None
    links: int = 0

    @classmethod
    def of(cls, node: Node) -> _Inode:
        inode = cls(kind=node.type, mode=node.mode, source=node.source)
        inode.take(node)
        inode.children = {} if node.type == "directory" else None
        return inode

    def take(self, node: Node) -> None:
        self.mode, self.uid, self.gid, self.mtime = node.mode, node.uid, node.gid, node.mtime
        self.xattrs = dict(node.xattrs)
        self.target, self.content, self.device = node.target, node.content, node.device
        self.source = node.source

    def node(self, first_name: bytes | None = None) -> Node:
        """The finished node; a hard link if its inode has an earlier name."""
        return Node(
            type=cast("NodeType", self.kind if first_name is None else "hardlink"),
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            mtime=self.mtime,
            xattrs=self.xattrs,
            target=self.target if first_name is None else first_name,
            content=self.content if first_name is None else None,
            device=self.device,
            source=self.source,
        )

    def set(self, metadata: Metadata) -> None:
        if metadata.mode is not None and self.kind != "symlink":
            self.mode = metadata.mode
        if metadata.uid is not None and metadata.gid is not None:
            self.uid, self.gid = metadata.uid, metadata.gid
        if metadata.mtime is not None:
            self.mtime = metadata.mtime
        if metadata.xattrs:
            self.xattrs.update(metadata.xattrs)

    def info(self) -> Info:
        size = self.content.size if self.content is not None else 0
        return Info(
            self.kind,
            self.mode,
            self.uid,
            self.gid,
            size,
            self.mtime,
            self.mtime,
            id(self),
            self.device,
            max(1, self.links),
        )


class TreeFile:
    """An open file: a reader of its Blob, which another builder simply refers to."""

    def __init__(self, inode: _Inode) -> None:
        self._inode = inode
        self.blob = inode.content
        self._stream: BinaryIO | None = None

    def info(self) -> Info:
        return self._inode.info()

    def xattrs(self) -> dict[bytes, bytes]:
        return dict(self._inode.xattrs)

    def read(self, size: int, /) -> bytes:
        if self.blob is None:
            return b""
        if self._stream is None:
            self._stream = self.blob.open()
        return self._stream.read(size)

    def take_hole(self) -> int:
        return 0

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class TreeDirectory:
    """An open directory of a builder (``homeport.copying.filesystem.Directory``)."""

    def __init__(self, builder: TreeFilesystem, inode: _Inode) -> None:
        self._builder = builder
        self._inode = inode

    @property
    def _children(self) -> dict[bytes, _Inode]:
        return self._inode.children if self._inode.children is not None else {}

    # -- reading

    def info(self) -> Info:
        return self._inode.info()

    def xattrs(self) -> dict[bytes, bytes]:
        return dict(self._inode.xattrs)

    def entries(self) -> Iterator[tuple[bytes, str]]:
        for name, inode in list(self._children.items()):
            yield name, inode.kind

    def stat(self, name: bytes) -> Info | None:
        _check(name)
        inode = self._children.get(name)
        return None if inode is None else inode.info()

    def readlink(self, name: bytes) -> bytes:
        inode = self._child(name)
        if inode.kind != "symlink":
            raise _error(errno.EINVAL, name)
        return inode.target

    def xattrs_of(self, name: bytes) -> dict[bytes, bytes]:
        return dict(self._child(name).xattrs)

    def open_directory(self, name: bytes) -> TreeDirectory:
        inode = self._child(name)
        if inode.children is None:
            raise _error(errno.ENOTDIR, name)
        return TreeDirectory(self._builder, inode)

    def open_file(self, name: bytes) -> TreeFile:
        inode = self._child(name)
        if inode.kind != "file":
            raise _error(errno.ELOOP if inode.kind == "symlink" else errno.EINVAL, name)
        return TreeFile(inode)

    # -- changing

    def create_file(self, name: bytes, content: Content, metadata: Metadata) -> int:
        self._must_be_new(name)
        blob = content.blob if isinstance(content, TreeFile) else self._builder.keep(content)
        self._add(name, "file", metadata, 0o644, content=blob)
        return blob.size if blob is not None else 0

    def create_directory(self, name: bytes, metadata: Metadata) -> TreeDirectory:
        inode = self._add(name, "directory", metadata, 0o755, children={}, parent=self._inode)
        return TreeDirectory(self._builder, inode)

    def create_symlink(self, name: bytes, target: bytes, metadata: Metadata) -> None:
        self._add(name, "symlink", metadata, 0o777, target=target)

    def create_special(
        self, name: bytes, kind: str, device: tuple[int, int], metadata: Metadata
    ) -> None:
        self._add(name, kind, metadata, 0o644, device=device)

    def create_hardlink(self, name: bytes, directory: TreeDirectory, target: bytes) -> None:
        inode = directory._child(target)
        if inode.children is not None:
            raise _error(errno.EPERM, target)
        self._must_be_new(name)
        self._children[name] = inode
        inode.links += 1

    def set(self, metadata: Metadata) -> None:
        self._inode.set(metadata)

    def set_of(self, name: bytes, metadata: Metadata) -> None:
        inode = self._child(name)
        if inode.kind != "symlink":
            inode.set(metadata)
        else:
            inode.set(Metadata(None, metadata.uid, metadata.gid, metadata.mtime))

    def remove(self, name: bytes) -> None:
        self._child(name).links -= 1
        del self._children[name]

    def again(self) -> TreeDirectory:
        return TreeDirectory(self._builder, self._inode)

    def open_parent(self, expected: object) -> TreeDirectory:
        parent = self._inode.parent
        if parent is None or id(parent) != expected:
            raise _error(errno.ESTALE, b"..")
        return TreeDirectory(self._builder, parent)

    def lineage(self) -> Iterator[int]:
        inode: _Inode | None = self._inode
        while inode is not None:
            yield id(inode)
            inode = inode.parent

    def close(self) -> None:
        """A handle of data holds nothing."""

    def _child(self, name: bytes) -> _Inode:
        _check(name)
        inode = self._children.get(name)
        if inode is None:
            raise _error(errno.ENOENT, name)
        return inode

    def _must_be_new(self, name: bytes) -> None:
        _check(name)
        if name in self._children:
            raise _error(errno.EEXIST, name)

    def _add(self, name: bytes, kind: str, metadata: Metadata, mode: int, **fields: Any) -> _Inode:
        self._must_be_new(name)
        builder = self._builder
        inode = _Inode(
            kind=kind, mode=mode, mtime=builder.time, source=builder.source, links=1, **fields
        )
        if self._inode.mode & 0o2000:  # as the kernel has it
            inode.gid = self._inode.gid
        inode.set(metadata)
        self._children[name] = inode
        return inode


class _Closable:
    """A content as the store reads it."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(size if size >= 0 else CHUNK)

    def close(self) -> None:
        """The content's owner closes it."""


def _check(name: bytes) -> None:
    if len(name) > 255:
        raise _error(errno.ENAMETOOLONG, name)


def _error(number: int, name: bytes) -> OSError:
    return OSError(number, os.strerror(number), name)
