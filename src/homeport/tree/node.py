"""A filesystem as data: nodes, and the tree that maps paths to them.

Paths are bytes, relative, without leading or trailing slash, and sort as bytes; the
root is ``b""``. Every node says where it came from. No disk, no root, no mount.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Literal

import msgspec

from homeport.content.blob import Blob

NodeType = Literal["file", "directory", "symlink", "hardlink", "char", "block", "fifo"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a node came from: what a report, an SBOM and an error message need to name.

    kind:   ``package``, ``local``, ``inline``, ``image``, ``step``, ``recipe``, ``layer``
    name:   package name, file path, step name, layer digest…
    detail: slice name, ``recipe.yaml:12``…
    """

    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.detail})" if self.detail else "")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One name in a filesystem.

    mode:   permission bits with setuid, setgid and sticky (07777), no type bits
    mtime:  nanoseconds since 1970
    target: of a symlink its text; of a hardlink the path, relative to the root
    content: of a file; ``None`` only for an empty one
    """

    type: NodeType
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    xattrs: Mapping[bytes, bytes] = msgspec.field(default_factory=dict)
    target: bytes = b""
    content: Blob | None = None
    device: tuple[int, int] = (0, 0)
    source: Source

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.content.size if self.content is not None else 0


class Tree(MutableMapping[bytes, Node]):
    """Path → node. Iterates in byte order, so a parent always comes before its children."""

    __slots__ = ("_nodes",)

    def __init__(self, nodes: Mapping[bytes, Node] | None = None) -> None:
        self._nodes: dict[bytes, Node] = dict(nodes or {})

    def __getitem__(self, path: bytes) -> Node:
        return self._nodes[path]

    def __setitem__(self, path: bytes, node: Node) -> None:
        self._nodes[path] = node

    def __delitem__(self, path: bytes) -> None:
        del self._nodes[path]

    def __iter__(self) -> Iterator[bytes]:
        # Comparing component by component: "a/b" before "a-b", because "/" ends a name.
        return iter(sorted(self._nodes, key=lambda path: path.split(b"/")))

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, path: object) -> bool:
        return path in self._nodes
