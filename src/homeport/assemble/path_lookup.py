"""Resolving a path inside a finished tree: links are followed, never out of the tree."""

from __future__ import annotations

from homeport.content.blob import read_verified
from homeport.tree.node import Node, Tree

_LARGEST_TEXT = 1 << 20  # bytes of a file that decides how others are found
_MAX_HOPS = 40  # as Linux (MAXSYMLINKS)


def resolve(tree: Tree, path: bytes) -> tuple[bytes, Node] | None:
    """The path without links, and the node there; ``None`` if it leads nowhere."""
    todo = [part for part in path.split(b"/") if part][::-1]
    done: list[bytes] = []
    hops = 0
    while todo:
        part = todo.pop()
        if part == b".":
            continue
        if part == b"..":
            del done[-1:]
            continue
        done.append(part)
        node = tree.get(b"/".join(done))
        if node is None:
            return None
        if node.type == "symlink":
            hops += 1
            if hops > _MAX_HOPS:
                return None
            done = [] if node.target.startswith(b"/") else done[:-1]
            todo += [part for part in node.target.split(b"/") if part][::-1]
        elif todo and node.type != "directory":
            return None
    found = b"/".join(done)
    node = tree.get(found)
    if node is not None and node.type == "hardlink":
        return resolve(tree, node.target)
    return (found, node) if node is not None else None


def text_of(tree: Tree, path: str) -> str | None:
    """The text of a small file; ``None`` if there is none."""
    found = resolve(tree, path.encode("utf-8", "surrogateescape"))
    if found is None or found[1].type != "file":
        return None
    if found[1].content is None:
        return ""
    return read_verified(found[1].content, _LARGEST_TEXT, path).decode("utf-8", "surrogateescape")


def names_in(tree: Tree, folder: str) -> list[str]:
    """Names in a folder, in byte order."""
    found = resolve(tree, folder.encode("utf-8", "surrogateescape"))
    below = found[0] + b"/" if found is not None else None
    names = [] if below is None else [
        path[len(below) :] for path in tree
        if path.startswith(below) and b"/" not in path[len(below) :]
    ]  # fmt: skip
    return [name.decode("utf-8", "surrogateescape") for name in sorted(names)]
