"""Putting a tree together from many sources, where no two may give one path.

The rules: several sources may provide a directory, and the recipe decides its mode and owner;
several may provide a link with the same target; anything else twice is an error that names
both sources. Missing parents are made. All conflicts are collected before an error is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from homeport.errors import Faults, HomeportError
from homeport.layers.entry import WHITEOUT
from homeport.printable import path_text
from homeport.quantities import counted
from homeport.tree.node import Node, Source, Tree


class Clash(HomeportError):
    """Two sources give one path of an image, or one path cannot be where another is."""

    id = "clash"
    exit_code = 2


#: A source of this kind decides a directory's mode and owner, whatever else names it.
_DECIDES = ("recipe", "step")


class TreeMerger:
    """The tree so far. ``mtime`` is given to directories that no source names."""

    def __init__(self, mtime: int) -> None:
        self._mtime = mtime
        self._nodes: dict[bytes, Node] = {}
        self._faults: list[HomeportError] = []

    @property
    def nodes(self) -> Mapping[bytes, Node]:
        """What is there by now, in no order."""
        return self._nodes

    def add_all(self, nodes: Iterable[tuple[bytes, Node]]) -> None:
        for path, node in nodes:
            self.add(path, node)

    def change_all(self, nodes: Iterable[tuple[bytes, Node]]) -> None:
        """Add nodes, or give what is there another owner and mode."""
        for path, node in nodes:
            old = self._nodes.get(path)
            same = old is not None and (old.type, old.source, old.content) == (
                node.type, node.source, node.content,
            )  # fmt: skip
            if same:
                self._nodes[path] = node
            else:
                self.add(path, node)

    def replace(self, path: bytes, node: Node) -> None:
        """Put a node of the recipe where a package has a file or a link that may be changed."""
        old = self._nodes.get(path)
        is_file = old is not None and "directory" not in (old.type, node.type)
        if old is not None and is_file and old.source.kind == "package":
            del self._nodes[path]
            self._keep_other_names(path, old)
        self.add(path, node)

    def _keep_other_names(self, path: bytes, old: Node) -> None:
        """Hard links to a file that goes keep its content: the first becomes the file."""
        links = sorted(
            name
            for name, node in self._nodes.items()
            if node.type == "hardlink" and node.target == path
        )
        for name in links[:1]:
            self._nodes[name] = old
        for name in links[1:]:
            again = msgspec.structs.replace(self._nodes[name], target=links[0])
            self._nodes[name] = again

    def add(self, path: bytes, node: Node) -> None:
        """Put a node where nothing else may be; a clash is kept for ``finish``."""
        if path.rpartition(b"/")[2].startswith(WHITEOUT):
            what = f"{path_text(path)} would be read as a whiteout, which removes files"
            self._faults.append(Clash(what, where=_where(path, node)))
            return
        old = self._nodes.get(path)
        if old is None:
            self._nodes[path] = node
        elif old.type == node.type == "directory":
            if node.source.kind in _DECIDES and old.source.kind not in _DECIDES:
                self._nodes[path] = node
        elif not (old.type == node.type == "symlink" and old.target == node.target):
            what = f"{old.source} and {node.source} both provide {path_text(path)}"
            own = node.source.kind not in ("package", "step") and node.type != "directory"
            hint = None
            if own and old.source.kind == "package" and old.type != "directory":
                hint = f"to replace it, write replace: true beside {path_text(path)} in the recipe"
            self._faults.append(Clash(what, where=_where(path, node), hint=hint))

    def move(self, old: bytes, new: bytes) -> None:
        """Move what is below the directory ``old`` below ``new``; ``old`` itself goes."""
        self._nodes.pop(old, None)
        for path in [each for each in self._nodes if each.startswith(old + b"/")]:
            self.add(new + path[len(old) :], self._nodes.pop(path))

    def finish(self) -> Tree:
        """The whole tree, with all parents. Raises ``Clash`` or ``Faults`` of several."""
        implied = Source(kind="step", name="directories")
        for path in list(self._nodes):
            below = path
            while below:
                below = below.rpartition(b"/")[0]
                parent = self._nodes.get(below)
                if parent is None:
                    self._nodes[below] = Node(
                        type="directory", mode=0o755, mtime=self._mtime, source=implied
                    )
                elif parent.type != "directory":
                    self._misplaced(path, below, parent)
                    break
        if len(self._faults) > 1:
            raise Faults(
                self._faults, what=f"{counted(len(self._faults), 'conflict')} between paths"
            )
        if self._faults:
            raise self._faults[0]
        return Tree(self._nodes)

    def _misplaced(self, path: bytes, parent_path: bytes, parent: Node) -> None:
        node = self._nodes[path]
        what = (
            f"{path_text(path)} of {node.source} lies below {path_text(parent_path)}, "
            f"which is a {parent.type} of {parent.source}"
        )
        self._faults.append(Clash(what, where=_where(path, node)))


def _where(path: bytes, node: Node) -> dict[str, str | int]:
    return {"path": path_text(path), "source": str(node.source)}
