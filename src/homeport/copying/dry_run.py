"""``--dry-run``: a filesystem that shows another as it would be, and changes nothing.

Names are looked up in what was done so far and then in the filesystem below, which is only ever
read. Contents are read to their ends and counted, not kept.
"""

import errno

from homeport.copying.metadata import Info, Metadata
from homeport.copying.resolve import reopen

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from homeport.copying.filesystem import Content, Directory, File, Filesystem

CHUNK = 1 << 20


class Node:
    """A node that was looked at or made.

    below:    names of the same directory in the filesystem below, if it is one that is there
    children: what changed in a directory; ``None`` for a name that was removed
    """

    __slots__ = ("below", "children", "info", "parent", "target")

    def __init__(
        self,
        info: Info,
        parent: "Node | None" = None,
        below: "list[bytes] | None" = None,
        target: bytes = b"",
    ) -> None:
        self.info = info
        self.parent = parent
        self.below = below
        self.target = target
        self.children: dict[bytes, Node | None] = {}


class DryRun:
    """Another filesystem, seen through what was done here."""

    def __init__(self, filesystem: "Filesystem") -> None:
        self.filesystem = filesystem
        top = filesystem.root()
        self._top = Node(top.info(), None, [])
        top.close()
        self.made = 0

    def root(self) -> "DryRunDirectory":
        return DryRunDirectory(self, self._top)

    def new(self, kind: str, parent: Node, metadata: Metadata, size: int = 0) -> Node:
        self.made += 1
        info = Info(kind, 0o755, size=size, identity=("made", self.made))
        node = Node(info, parent)
        apply(info, metadata)
        return node


def apply(info: Info, metadata: Metadata) -> None:
    if metadata.mode is not None:
        info.mode = metadata.mode
    if metadata.uid is not None and metadata.gid is not None:
        info.uid, info.gid = metadata.uid, metadata.gid
    if metadata.mtime is not None:
        info.mtime = metadata.mtime


class DryRunDirectory:
    """An open directory (``homeport.copying.filesystem.Directory``)."""

    __slots__ = ("_filesystem", "_node")

    def __init__(self, filesystem: DryRun, node: Node) -> None:
        self._filesystem = filesystem
        self._node = node

    # -- reading

    def info(self) -> Info:
        return self._node.info

    def xattrs(self) -> "dict[bytes, bytes]":
        directory = self._below()
        if directory is None:
            return {}
        try:
            return directory.xattrs()
        finally:
            directory.close()

    def entries(self) -> "Iterator[tuple[bytes, str]]":
        children = self._node.children
        directory = self._below()
        if directory is not None:
            for name, kind in directory.entries():
                if name not in children:
                    yield name, kind
            directory.close()
        for name, node in list(children.items()):
            if node is not None:
                yield name, node.info.kind

    def stat(self, name: bytes) -> "Info | None":
        node = self._find(name)
        return None if node is None else node.info

    def readlink(self, name: bytes) -> bytes:
        return self._child(name).target

    def xattrs_of(self, name: bytes) -> "dict[bytes, bytes]":
        return {}

    def open_directory(self, name: bytes) -> "DryRunDirectory":
        node = self._child(name)
        if node.info.kind != "directory":
            raise OSError(errno.ENOTDIR, "not a directory", name)
        return DryRunDirectory(self._filesystem, node)

    def open_file(self, name: bytes) -> "File":
        node = self._child(name)
        directory = self._below()
        if directory is None or node.below is None:
            raise OSError(errno.ENOTSUP, "a dry run keeps no contents to read", name)
        try:
            return directory.open_file(name)
        finally:
            directory.close()

    # -- changing

    def create_file(self, name: bytes, content: "Content", metadata: Metadata) -> int:
        self._must_be_new(name)
        size = content.take_hole()
        while data := content.read(CHUNK):
            size += len(data) + content.take_hole()
        self._add(name, self._filesystem.new("file", self._node, metadata, size))
        return size

    def create_directory(self, name: bytes, metadata: Metadata) -> "DryRunDirectory":
        self._must_be_new(name)
        node = self._add(name, self._filesystem.new("directory", self._node, metadata))
        return DryRunDirectory(self._filesystem, node)

    def create_symlink(self, name: bytes, target: bytes, metadata: Metadata) -> None:
        self._must_be_new(name)
        self._add(name, self._filesystem.new("symlink", self._node, metadata)).target = target

    def create_special(
        self, name: bytes, kind: str, device: "tuple[int, int]", metadata: Metadata
    ) -> None:
        self._must_be_new(name)
        self._add(name, self._filesystem.new(kind, self._node, metadata)).info.device = device

    def create_hardlink(self, name: bytes, directory: "DryRunDirectory", target: bytes) -> None:
        self._must_be_new(name)
        node = directory._child(target)
        node.info.links += 1
        self._add(name, node)

    def set(self, metadata: Metadata) -> None:
        apply(self._node.info, metadata)

    def set_of(self, name: bytes, metadata: Metadata) -> None:
        apply(self._child(name).info, metadata)

    def remove(self, name: bytes) -> None:
        self._child(name)
        self._node.children[name] = None

    def again(self) -> "DryRunDirectory":
        return DryRunDirectory(self._filesystem, self._node)

    def open_parent(self, expected: "Hashable") -> "DryRunDirectory":
        parent = self._node.parent
        if parent is None or parent.info.identity != expected:
            raise OSError(errno.ESTALE, "directory was moved meanwhile")
        return DryRunDirectory(self._filesystem, parent)

    def lineage(self) -> "Iterator[Hashable]":
        node: Node | None = self._node
        while node is not None:
            yield node.info.identity
            if node.parent is None:
                top = self._filesystem.filesystem.root()
                yield from top.lineage()
                top.close()
            node = node.parent

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _below(self) -> "Directory | None":
        names = self._node.below
        return None if names is None else reopen(self._filesystem.filesystem, names)

    def _find(self, name: bytes) -> "Node | None":
        children = self._node.children
        if name in children:
            return children[name]
        directory = self._below()
        if directory is None or self._node.below is None:
            return None
        try:
            info = directory.stat(name)
            if info is None:
                return None
            target = directory.readlink(name) if info.kind == "symlink" else b""
        finally:
            directory.close()
        node = Node(info, self._node, [*self._node.below, name], target)
        if info.kind == "directory":  # what changes in it must be found again
            children[name] = node
        return node

    def _child(self, name: bytes) -> Node:
        node = self._find(name)
        if node is None:
            raise OSError(errno.ENOENT, "no such file or directory", name)
        return node

    def _must_be_new(self, name: bytes) -> None:
        if self._find(name) is not None:
            raise FileExistsError(errno.EEXIST, "file exists", name)

    def _add(self, name: bytes, node: Node) -> Node:
        self._node.children[name] = node
        return node
