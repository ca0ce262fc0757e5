"""Files and trees taken out of other images, by digest and with their own metadata.

For vendoring an upstream binary. Every layer is verified while it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import msgspec

from homeport.assemble.path_lookup import resolve
from homeport.assemble.plan import BuildPlan, PlannedImageFiles
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.ambiguity import require_unambiguous
from homeport.images.image import Image, Index, digest_of
from homeport.images.platforms import select
from homeport.layers.trees import read_layers
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.tree.node import Node, Tree

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class NotInImage(HomeportError):
    """The image does not contain the path that the recipe names."""

    id = "not-in-image"


def image_file_nodes(
    plan: BuildPlan, open_image: OpenImage, store: Store, cancel: CancelToken
) -> list[tuple[bytes, Node]]:
    """What the plan's files of other images put into this one.

    Raises ``NotInImage``, and what opening and reading images raises.
    """
    trees: dict[str, Tree] = {}
    nodes: list[tuple[bytes, Node]] = []
    for files in plan.image_files:
        try:
            if files.address not in trees:
                with open_image(files.address) as value:
                    trees[files.address] = _tree(value, files, plan, store, cancel)
            nodes += _placed(files, trees[files.address])
        except HomeportError as error:
            raise error.at(image=files.address, recipe=files.source.detail) from error.__cause__
    return nodes


def _tree(
    value: Image | Index,
    files: PlannedImageFiles,
    plan: BuildPlan,
    store: Store,
    cancel: CancelToken,
) -> Tree:
    if value.digest != files.digest:
        raise NotInImage(
            f"digest mismatch: the image has {value.digest}, the recipe {files.digest}"
        )
    image = select(value, [plan.platform]) if isinstance(value, Index) else value
    assert isinstance(image, Image)
    require_unambiguous(image)
    layers = [image.blobs[digest_of(layer)] for layer in image.document.parsed.layers]
    return read_layers(layers, store, cancel)


def _placed(files: PlannedImageFiles, tree: Tree) -> Iterator[tuple[bytes, Node]]:
    """The path, or everything below it, at its new place."""
    found = resolve(tree, files.path)
    if found is None and files.path:
        raise NotInImage(f"{path_text(files.path)} is not in the image")
    root, top = found or (b"", None)  # layers need not have an entry for their root
    name = files.path.rpartition(b"/")[2]
    target = b"/".join(step for step in (files.to, name) if step) if files.into else files.to
    if top is not None and top.type != "directory":
        yield target, _with_metadata(files, top)
        return
    below = root + b"/" if root else b""
    for path, node in tree.items():
        if path not in (root, b"") and path.startswith(below):
            inside = b"/".join(step for step in (files.to, path[len(below) :]) if step)
            yield inside, _moved(files, node, below)


def _moved(files: PlannedImageFiles, node: Node, below: bytes) -> Node:
    """A node with its hard link, if it is one, pointing to the new place."""
    if node.type != "hardlink":
        return _with_metadata(files, node)
    if not node.target.startswith(below):
        raise NotInImage(
            f"a hard link in {path_text(files.path)} leads to {path_text(node.target)}, "
            "which is outside of it",
            hint="take a directory that holds both",
        )
    target = b"/".join(step for step in (files.to, node.target[len(below) :]) if step)
    return _with_metadata(files, msgspec.structs.replace(node, target=target))


def _with_metadata(files: PlannedImageFiles, node: Node) -> Node:
    return msgspec.structs.replace(
        node,
        mode=node.mode if files.mode is None or node.type != "file" else files.mode,
        uid=node.uid if files.uid is None else files.uid,
        gid=node.gid if files.gid is None else files.gid,
        source=files.source,
    )
