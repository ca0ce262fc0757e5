"""Resolving a path inside a finished tree: links are followed, never out of the tree."""

from __future__ import annotations

from homeport.tree.node import Node, Tree

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
