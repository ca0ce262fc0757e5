"""Paths of an image that is being put together: parents may be links or not be there yet."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.tree.node import Node

_MOST_LINKS = 40  # as Linux (MAXSYMLINKS)

#: Below these folders what scripts make is made; nothing else of an image changes.
CHANGEABLE = (b"etc/", b"var/", b"run/", b"srv/", b"opt/")


class ImagePaths:
    """Answers what is at a path, with the links among its parents followed."""

    def __init__(self, nodes: Mapping[bytes, Node]) -> None:
        self._nodes = nodes
        self._implied: set[bytes] = set()
        for path in nodes:
            below = path.rpartition(b"/")[0]
            while below and below not in self._implied:
                self._implied.add(below)
                below = below.rpartition(b"/")[0]

    def place(self, text: str) -> bytes:
        """Where ``text`` lies when the links of its parents are followed."""
        todo = [part for part in text.encode("utf-8", "surrogateescape").split(b"/") if part][::-1]
        done: list[bytes] = []
        links = 0
        while todo:
            part = todo.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del done[-1:]
                continue
            node = self._nodes.get(b"/".join([*done, part]))
            if todo and node is not None and node.type == "symlink" and links < _MOST_LINKS:
                links += 1
                if node.target.startswith(b"/"):
                    done = []
                todo += [each for each in node.target.split(b"/") if each][::-1]
            else:
                done.append(part)
        return b"/".join(done)

    def type_of(self, text: str) -> str | None:
        """``file``, ``directory``, ``symlink``, or ``None``."""
        path = self.place(text)
        node = self._nodes.get(path)
        if node is not None:
            return "file" if node.type == "hardlink" else node.type
        return "directory" if path in self._implied or not path else None
