"""Trees in a line or two: ``tree({"usr": directory(), "usr/a": file(b"x")})``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from homeport.content.blob import BytesBlob
from homeport.progress import CancelToken
from homeport.tree.node import Node, Source, Tree
from homeport.tree.tar_writer import write_tar

HERE = Source(kind="inline", name="test")


def file(data: bytes = b"", mode: int = 0o644, **more: Any) -> Node:
    content = BytesBlob(data) if data else None
    return _node(type="file", mode=mode, content=content, **more)


def directory(mode: int = 0o755, **more: Any) -> Node:
    return _node(type="directory", mode=mode, **more)


def symlink(target: bytes, **more: Any) -> Node:
    return _node(type="symlink", mode=0o777, target=target, **more)


def hardlink(target: bytes, **more: Any) -> Node:
    return _node(type="hardlink", mode=0o644, target=target, **more)


def node(type: Any, **more: Any) -> Node:
    return _node(type=type, **{"mode": 0o644, **more})


def tree(nodes: Mapping[str | bytes, Node]) -> Tree:
    return Tree({p.encode() if isinstance(p, str) else p: n for p, n in nodes.items()})


def tar_bytes(nodes: Tree) -> bytes:
    """All of ``nodes`` as one tar archive."""
    out = io.BytesIO()
    write_tar(nodes, out.write, CancelToken())
    return out.getvalue()


def _node(**fields: Any) -> Node:
    return Node(**{"source": HERE, **fields})
