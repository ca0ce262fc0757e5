"""Two results of one Dockerfile: the differences that matter to a user.

Everything is compared but the times of what the build itself made (parents of a
destination): those are when it was built, in both.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from homeport.tree.node import Node, Tree

#: Nodes younger than this (seconds) were made by the build.
_FRESH = 24 * 3600.0


def differences(expected: Tree, found: Tree) -> list[str]:
    """One phrase for each difference, in path order; empty if the results are equal."""
    made_after = (time.time() - _FRESH) * 1e9
    return list(_differences(expected, found, made_after))


def _differences(expected: Tree, found: Tree, made_after: float) -> Iterator[str]:
    for path in Tree({**dict(expected), **dict(found)}):
        name = os.fsdecode(path) or "/"
        if path not in found:
            yield f"{name} is missing"
        elif path not in expected:
            yield f"{name} must not exist"
        else:
            for what, one, other in _compared(expected[path], found[path], made_after):
                yield f"{name} has {what} {other} instead of {one}"


def _compared(one: Node, other: Node, made_after: float) -> Iterator[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("type", one.type, other.type),
        ("mode", f"{one.mode:04o}", f"{other.mode:04o}"),
        ("owner", f"{one.uid}:{one.gid}", f"{other.uid}:{other.gid}"),
        ("target", one.target, other.target),
        ("size", one.size, other.size),
        ("device", one.device, other.device),
        ("content", _content(one), _content(other)),
        ("attributes", dict(one.xattrs), dict(other.xattrs)),
    ]
    if one.mtime < made_after or other.mtime < made_after:
        pairs.append(("time", one.mtime, other.mtime))
    for what, left, right in pairs:
        if left != right:
            yield what, left, right


def _content(node: Node) -> str:
    return str(node.content.digest) if node.content is not None else ""
