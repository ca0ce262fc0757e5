"""The output of a build part as an input of the image: a list of files, pinned by digest.

    encode_tree(tree)       the list as a document; its digest is what the lockfile pins
    decode_tree(data, store)the tree again, if the store still has all of it
    part_nodes(files, tree) what one entry of the recipe's ``files`` takes from it

Of what an engine returns only names, bytes, links and execute bits count, as of local
files: modes, owners and times are the recipe's. Not for building parts (``homeport.parts``).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from homeport.assemble.path_lookup import resolve
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.recipe.entries import PartFiles
from homeport.tree.node import Node, Source, Tree

_FORMAT = 1


class NotInResult(HomeportError):
    """A recipe takes a path that is missing in the result of its part."""

    id = "not-in-result"


class UnsupportedFile(HomeportError):
    """A part made a file of a kind that an image cannot take from it."""

    id = "part-file"


def select_files(tree: Tree, wanted: Iterable[PartFiles], source: Source) -> Tree:
    """What is taken of a part's result, by the paths it has there.

    Raises ``NotInResult`` for a path that is not there, ``UnsupportedFile`` for a device.
    """
    found: dict[bytes, Node] = {}
    for files in wanted:
        where = files.place.where()
        path = _bytes(files.path)
        at = resolve(tree, path) if path else (b"", None)
        if at is None:
            raise NotInResult(
                f"the part {files.part} did not write {files.path}",
                where=where,
                hint=_near(tree, path),
            )
        root, top = at
        if top is not None and top.type != "directory":
            found[path] = _plain(tree, path, top, source, where)
            continue
        below = root + b"/" if root else b""
        for name, node in tree.items():
            if name not in (root, b"") and name.startswith(below):
                inside = b"/".join(step for step in (path, name[len(below) :]) if step)
                found[inside] = _plain(tree, name, node, source, where)
    return Tree(found)


def encode_tree(tree: Tree) -> bytes:
    """Equal trees give equal bytes."""
    entries = [_entry(path, node) for path, node in tree.items()]
    document = {"format": _FORMAT, "entries": entries}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def decode_tree(data: bytes, store: Store, source: Source) -> Tree | None:
    """The tree of a document, or ``None`` if the store lacks a file of it.

    The caller has verified ``data`` by its digest, so that its form is ours.
    """
    nodes: dict[bytes, Node] = {}
    for entry in json.loads(data)["entries"]:
        content: Blob | None = None
        if entry.get("digest"):
            content = store.get(Digest.parse(entry["digest"]), entry["size"])
            if content is None:
                return None
        nodes[_bytes(entry["path"])] = Node(
            type=entry["type"],
            mode=_mode(entry),
            target=entry.get("target", "").encode("utf-8", "surrogateescape"),
            content=content,
            source=source,
        )
    return Tree(nodes)


def part_nodes(files: PartFiles, tree: Tree, mtime: int) -> Iterator[tuple[bytes, Node]]:
    """What ``files`` puts into an image, of a tree of ``select_files`` or ``decode_tree``."""
    path, to = _bytes(files.path), _bytes(files.to)
    source = Source(kind="part", name=files.part, detail=str(files.place))
    top = tree.get(path)
    if top is not None and top.type != "directory":
        name = path.rpartition(b"/")[2]
        into = files.to.endswith("/")
        target = b"/".join(step for step in (to, name) if step) if into else to
        yield target, _placed(top, files, mtime, source)
        return
    below = path + b"/" if path else b""
    if to:
        yield to, _placed(Node(type="directory", mode=0o755, source=source), files, mtime, source)
    for name, node in tree.items():
        if name != path and name.startswith(below):
            inside = b"/".join(step for step in (to, name[len(below) :]) if step)
            yield inside, _placed(node, files, mtime, source)


def _placed(node: Node, files: PartFiles, mtime: int, source: Source) -> Node:
    mode = node.mode if files.mode is None or node.type != "file" else files.mode
    return msgspec.structs.replace(
        node, mode=mode, uid=files.uid, gid=files.gid, mtime=mtime, source=source
    )


def _plain(
    tree: Tree, path: bytes, node: Node, source: Source, where: dict[str, str | int]
) -> Node:
    """A node without metadata of the engine's machine; a hard link becomes its file."""
    if node.type == "hardlink":
        node = tree[node.target]
    if node.type == "file":
        mode = 0o755 if node.mode & 0o100 else 0o644
        return Node(type="file", mode=mode, content=node.content, source=source)
    if node.type == "directory":
        return Node(type="directory", mode=0o755, source=source)
    if node.type == "symlink":
        return Node(type="symlink", mode=0o777, target=node.target, source=source)
    shown = path.decode("utf-8", "backslashreplace")
    raise UnsupportedFile(f"cannot take /{shown} from a part: it is a {node.type}", where=where)


def _entry(path: bytes, node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": _text(path), "type": node.type}
    if node.type == "file":
        entry["executable"] = bool(node.mode & 0o100)
        if node.content is not None:
            entry |= {"digest": str(node.content.digest), "size": node.content.size}
    if node.type == "symlink":
        entry["target"] = _text(node.target)
    return entry


def _mode(entry: dict[str, Any]) -> int:
    if entry["type"] == "symlink":
        return 0o777
    return 0o755 if entry["type"] == "directory" or entry["executable"] else 0o644


def _near(tree: Tree, path: bytes) -> str:
    names = [_text(name) for name, node in tree.items() if node.type != "directory"]
    wanted = _text(path)
    last = wanted.rpartition("/")[2]
    near = [name for name in names if name.rpartition("/")[2] == last]
    near = near or difflib.get_close_matches(wanted, names, n=3)
    if near:
        return "did you mean " + ", ".join(f"/{name}" for name in near[:3]) + "?"
    if not names:
        return "the part wrote no file; its commands must write their result to /out"
    return "it wrote " + ", ".join(f"/{name}" for name in sorted(names)[:5])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").strip(b"/")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
