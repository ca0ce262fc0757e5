"""``recipe show``: what the steps of a recipe make in an image, in place of maintainer scripts.

The image of one platform is assembled and not written; what came of a step says so in its tree.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from homeport.building.assembled import assembled
from homeport.building.request import BuildRequest, Connections
from homeport.content.blob import read_verified
from homeport.oci.platform import Platform
from homeport.printable import path_text
from homeport.quantities import whole_number
from homeport.recipe.entries import Steps
from homeport.runtime import Runtime
from homeport.tree.node import Node, NodeType, Tree

_ACCOUNTS = {"user": (b"etc/passwd", 3), "group": (b"etc/group", 2)}
_LARGEST = 1 << 20  # bytes of a file of accounts


class MadePath(msgspec.Struct, frozen=True, kw_only=True):
    """A path of the image that a step made.

    mode:   07777
    target: of a link
    """

    path: str
    type: NodeType
    mode: int
    uid: int
    gid: int
    size: int
    target: str = ""


class MadeByStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step; ``on``: the recipe has not switched it off (``steps: {NAME: false}``)."""

    name: str
    on: bool
    made: tuple[MadePath, ...] = ()


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A user or group of the image."""

    kind: str
    name: str
    number: int


class ShownRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's steps and accounts, as one platform's image has them."""

    recipe: str
    platform: Platform
    steps: tuple[MadeByStep, ...]
    accounts: tuple[Account, ...]


def show_recipe(request: BuildRequest, runtime: Runtime, connections: Connections) -> ShownRecipe:
    """What the steps make for one platform. Raises what locking and assembling raise."""
    with assembled(request, runtime, connections) as found:
        return ShownRecipe(
            recipe=found.recipe.name,
            platform=found.plan.platform,
            steps=tuple(_steps(found.plan.steps, found.tree)),
            accounts=tuple(_accounts(found.tree)),
        )


def _steps(steps: Steps, tree: Tree) -> Iterator[MadeByStep]:
    made: dict[str, list[MadePath]] = {}
    for path, node in tree.items():
        if node.source.kind == "step":
            made.setdefault(node.source.name.replace("-", "_"), []).append(_made(path, node))
    for name in Steps.__struct_fields__:
        yield MadeByStep(name=name, on=getattr(steps, name), made=tuple(made.get(name, ())))


def _made(path: bytes, node: Node) -> MadePath:
    return MadePath(
        path=path_text(path), type=node.type, mode=node.mode, uid=node.uid, gid=node.gid,
        size=node.size, target=node.target.decode("utf-8", "replace"),
    )  # fmt: skip


def _accounts(tree: Tree) -> Iterator[Account]:
    """Users and groups with their numbers (passwd(5), group(5))."""
    for kind, (path, fields) in _ACCOUNTS.items():
        node = tree.get(path)
        if node is None or node.content is None:
            continue
        text = read_verified(node.content, _LARGEST, path.decode()).decode("utf-8", "replace")
        for line in text.splitlines():
            words = line.split(":")
            number = whole_number(words[2]) if len(words) >= fields else None
            if number is not None:
                yield Account(kind=kind, name=words[0], number=number)
