"""Layers on top of each other, and the layer between two trees.

Whiteouts as in the OCI image specification ("layer", section "Whiteouts"): ``.wh.NAME``
removes a name of the layers below, ``.wh..wh..opq`` everything in its directory. Links
in the way of a path are followed within the root, as engines do when they unpack.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from homeport.errors import HomeportError
from homeport.tree.links import MOST, followed
from homeport.tree.node import Node, Source, Tree

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"


class BadLayer(HomeportError):
    """A layer that no engine could unpack."""

    id = "bad-layer"


def stack(layers: Iterable[Tree]) -> Tree:
    """What a container sees of ``layers``, lowest first. Raises ``BadLayer``."""
    whole = _Whole()
    for layer in layers:
        whole.apply(layer)
    return Tree(whole.nodes)


def diff(lower: Tree, upper: Tree) -> Tree:
    """The layer that turns ``lower`` into ``upper`` when it is stacked on it.

    Directories above a change come along unchanged: engines that unpack a layer by itself
    would give them modes of their own.
    """
    changes = {path: node for path, node in upper.items() if not _same(lower.get(path), node)}
    source = Source(kind="layer", name="removed")
    gone = [path for path in lower if path not in upper]
    for path in gone:
        parent, _, name = path.rpartition(b"/")
        above = upper.get(parent) if path else None
        if (above is None and parent) or (above is not None and above.type != "directory"):
            continue  # its directory is gone as a whole, or is no directory any more
        whiteout = (parent + b"/" if parent else b"") + WHITEOUT + name
        changes[whiteout] = Node(type="file", mode=0o644, source=source)
    for path in list(changes):
        while path:
            path = path.rpartition(b"/")[0]  # noqa: PLW2901  upwards
            if path in upper:
                changes.setdefault(path, upper[path])
    return Tree(changes)


def is_whiteout(path: bytes) -> bool:
    """Whether an entry removes something instead of being something."""
    return path.rpartition(b"/")[2].startswith(WHITEOUT)


def _same(one: Node | None, other: Node) -> bool:
    """Whether two nodes are the same thing, wherever they came from."""
    if one is None or one.size != other.size:
        return False
    if one.content is not None and other.content is not None:
        if one.content.digest != other.content.digest:
            return False
        one = msgspec.structs.replace(one, content=other.content)
    return msgspec.structs.replace(one, source=other.source) == other


class _Whole:
    """The layers so far: nodes by path, and the names in every directory."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, Node] = {}
        self._names: dict[bytes, set[bytes]] = {}
        self._linked: dict[bytes, set[bytes]] = {}  # file → its other names

    def apply(self, layer: Tree) -> None:
        # A whiteout speaks of the layers below, wherever it stands in its own.
        for path in layer:
            if is_whiteout(path):
                self._white_out(path)
        # A hard link may sort before its file, and before another link to it.
        links: dict[bytes, Node] = {}
        for path, node in layer.items():
            if node.type == "hardlink" and not is_whiteout(path):
                links[path] = node
            elif not is_whiteout(path):
                self._put(path, node)
        for path, node in links.items():
            target = node.target
            for _ in links:  # a circle ends too, and is refused then
                target = links[target].target if target in links else target
            self._put(path, msgspec.structs.replace(node, target=target))

    def _white_out(self, path: bytes) -> None:
        directory, _, name = path.rpartition(b"/")
        directory = self._resolve(directory)
        if name == OPAQUE:
            for child in sorted(self._names.get(directory, ())):
                self._remove(_join(directory, child))
        elif not name.startswith(WHITEOUT + WHITEOUT):  # other markers of aufs mean nothing
            self._remove(_join(directory, name[len(WHITEOUT) :]))

    def _put(self, path: bytes, node: Node) -> None:
        directory, _, name = path.rpartition(b"/")
        if path:
            self._make_directories(directory, node)
            directory = self._resolve(directory)
            path = _join(directory, name)
        if node.type == "hardlink":
            node = self._hard_link(path, node)
        old = self.nodes.get(path)
        if old is not None and not (old.type == node.type == "directory"):
            self._remove(path)
        self.nodes[path] = node
        if path:
            self._names.setdefault(directory, set()).add(name)
        if node.type == "hardlink":
            self._linked.setdefault(node.target, set()).add(path)

    def _hard_link(self, path: bytes, node: Node) -> Node:
        parent, _, name = node.target.rpartition(b"/")
        target = _join(self._resolve(parent), name)
        found = self.nodes.get(target)
        if found is not None and found.type == "hardlink":
            target = found.target
            found = self.nodes.get(target)
        if found is None or found.type == "directory" or target == path:
            raise BadLayer(
                "a hard link points to no file", where={"path": path.decode("utf-8", "replace")}
            )
        return msgspec.structs.replace(node, target=target)

    def _make_directories(self, path: bytes, below: Node) -> None:
        """Make what is missing above a node, with the rights that engines give it."""
        path = self._resolve(path)
        missing = []
        while path and path not in self.nodes:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        found = self.nodes.get(path)
        if found is not None and found.type != "directory":
            shown = path.decode("utf-8", "replace")
            raise BadLayer(f"{shown} is no directory, but something lies in it")
        for each in reversed(missing):
            parent, _, name = each.rpartition(b"/")
            self.nodes[each] = Node(type="directory", mode=0o755, source=below.source)
            self._names.setdefault(parent, set()).add(name)

    def _resolve(self, path: bytes) -> bytes:
        """``path`` with links followed in every component, never out of the root."""
        found, hops = followed(path, self._target)
        if hops > MOST:
            raise BadLayer("links form a circle", where={"path": path.decode("utf-8", "replace")})
        return found

    def _target(self, path: bytes) -> bytes | None:
        node = self.nodes.get(path)
        return node.target if node is not None and node.type == "symlink" else None

    def _remove(self, path: bytes) -> None:
        """Remove a name with everything below it; other names of a file keep its content."""
        node = self.nodes.get(path)
        if node is None:
            return
        for child in sorted(self._names.get(path, ())):
            self._remove(_join(path, child))
        self._names.pop(path, None)
        del self.nodes[path]
        directory, _, name = path.rpartition(b"/")
        self._names.get(directory, set()).discard(name)
        if node.type == "hardlink":
            self._linked.get(node.target, set()).discard(path)
        elif others := self._linked.pop(path, None):
            heir, *rest = sorted(others)
            self.nodes[heir] = msgspec.structs.replace(node, source=self.nodes[heir].source)
            for other in rest:
                self.nodes[other] = msgspec.structs.replace(self.nodes[other], target=heir)
            self._linked[heir] = set(rest)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name
