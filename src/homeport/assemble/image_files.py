"""Files and trees taken out of other images, by digest and as they are there.

For vendoring an upstream binary. Every layer is verified while it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import msgspec

from homeport.assemble.path_lookup import resolve
from homeport.assemble.plan import BuildPlan, ImagePart
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.image import Image, Index, digest_of
from homeport.images.platforms import select
from homeport.layers.trees import read_layers
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.tree.node import Node, Tree

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class NotInImage(HomeportError):
    """The path that a recipe wants is not in the image that it names."""

    id = "not-in-image"


def nodes_of_parts(
    plan: BuildPlan, open_image: OpenImage, store: Store, cancel: CancelToken
) -> list[tuple[bytes, Node]]:
    """What the plan's parts of other images put into this one.

    Raises ``NotInImage``, and what opening and reading images raises.
    """
    trees: dict[str, Tree] = {}
    nodes: list[tuple[bytes, Node]] = []
    for part in plan.parts:
        try:
            if part.address not in trees:
                with open_image(part.address) as value:
                    trees[part.address] = _tree(value, part, plan, store, cancel)
            nodes += _placed(part, trees[part.address])
        except HomeportError as error:
            raise error.at(image=part.address, recipe=part.source.detail) from error.__cause__
    return nodes


def _tree(
    value: Image | Index, part: ImagePart, plan: BuildPlan, store: Store, cancel: CancelToken
) -> Tree:
    if value.digest != part.digest:
        raise NotInImage(f"the image has digest {value.digest}, the recipe says {part.digest}")
    image = select(value, [plan.platform]) if isinstance(value, Index) else value
    assert isinstance(image, Image)
    layers = [image.blobs[digest_of(layer)] for layer in image.document.parsed.layers]
    return read_layers(layers, store, cancel)


def _placed(part: ImagePart, tree: Tree) -> Iterator[tuple[bytes, Node]]:
    """The path, or everything below it, at its new place."""
    found = resolve(tree, part.path)
    if found is None and part.path:
        raise NotInImage(f"{path_text(part.path)} is not in the image")
    root, top = found or (b"", None)  # layers need not have an entry for their root
    name = part.path.rpartition(b"/")[2]
    target = b"/".join(step for step in (part.to, name) if step) if part.into else part.to
    if top is not None and top.type != "directory":
        yield target, _with_metadata(part, top)
        return
    below = root + b"/" if root else b""
    for path, node in tree.items():
        if path not in (root, b"") and path.startswith(below):
            inside = b"/".join(step for step in (part.to, path[len(below) :]) if step)
            yield inside, _moved(part, node, below)


def _moved(part: ImagePart, node: Node, below: bytes) -> Node:
    """A node with its hard link, if it is one, pointing to the new place."""
    if node.type != "hardlink":
        return _with_metadata(part, node)
    if not node.target.startswith(below):
        raise NotInImage(
            f"{path_text(node.target)}, a hard link's file, lies outside of what is taken"
        )
    target = b"/".join(step for step in (part.to, node.target[len(below) :]) if step)
    return _with_metadata(part, msgspec.structs.replace(node, target=target))


def _with_metadata(part: ImagePart, node: Node) -> Node:
    return msgspec.structs.replace(
        node,
        mode=node.mode if part.mode is None or node.type != "file" else part.mode,
        uid=node.uid if part.uid is None else part.uid,
        gid=node.gid if part.gid is None else part.gid,
        source=part.source,
    )
