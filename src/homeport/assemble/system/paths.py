"""Paths of an image that is being put together: parents may be links or not be there yet."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.content.blob import read_verified
from homeport.tree.node import Node

_MOST_LINKS = 40  # as Linux (MAXSYMLINKS)

_LARGEST = 1 << 20  # bytes of a file that is read to make another

#: Below these folders what scripts make is made; nothing else of an image changes. No
#: package ships anything in root's home and in what the user installs; the last is where
#: each protocol of Dovecot switches itself on.
CHANGEABLE = (b"etc/", b"var/", b"run/", b"srv/", b"opt/", b"root/", b"usr/local/",
              b"usr/share/dovecot/protocols.d/")  # fmt: skip


class ImagePaths:
    """Answers what is at a path, with the links among its parents followed."""

    def __init__(self, nodes: Mapping[bytes, Node]) -> None:
        self._nodes = nodes
        self._implied: set[bytes] = set()
        self._names: dict[bytes, set[bytes]] | None = None
        for path in nodes:
            below = path.rpartition(b"/")[0]
            while below and below not in self._implied:
                self._implied.add(below)
                below = below.rpartition(b"/")[0]

    def names_in(self, text: str) -> list[str]:
        """Names of the files and links in a folder, in byte order."""
        if self._names is None:
            self._names = {}
            for path, node in self._nodes.items():
                folder, _, name = path.rpartition(b"/")
                if node.type != "directory":
                    self._names.setdefault(folder, set()).add(name)
        found = self._names.get(self.place(text + "/."), set())
        return [name.decode("utf-8", "surrogateescape") for name in sorted(found)]

    def folders_in(self, text: str) -> list[str]:
        """Names of the folders in a folder, in byte order."""
        below = self.place(text + "/.") + b"/"
        found = set()
        for path in (*self._implied, *self._nodes):
            if path.startswith(below):
                name, _, deeper = path[len(below) :].partition(b"/")
                if deeper or path in self._implied or self._nodes[path].type == "directory":
                    found.add(name)
        return [name.decode("utf-8", "surrogateescape") for name in sorted(found)]

    def text_of(self, text: str) -> str | None:
        """The text of a file, links followed; ``None`` if there is none."""
        node = self._nodes.get(self.place(text + "/."))
        if node is not None and node.type == "hardlink":
            node = self._nodes.get(node.target)
        if node is None or node.type != "file":
            return None
        if node.content is None:
            return ""
        return read_verified(node.content, _LARGEST, text).decode("utf-8", "surrogateescape")

    def target_of(self, text: str) -> str | None:
        """What a link holds; ``None`` if there is no link."""
        node = self._nodes.get(self.place(text))
        if node is None or node.type != "symlink":
            return None
        return node.target.decode("utf-8", "surrogateescape")

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
