"""Removes old tags of the tree's images from the docker daemon of this machine.

Of each image every tag but the current one goes, children before parents. ``latest`` stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from homeport.content.reading import read_bounded
from homeport.dockerpkg.dependencies import Graph
from homeport.dockerpkg.names import selects, split_name
from homeport.dockerpkg.tree import Tree
from homeport.images.transports.docker_api import EngineError, request

_LARGEST = 64 << 20


class _Listed(msgspec.Struct, rename="pascal"):
    repo_tags: tuple[str, ...] | None = None


_DECODER = msgspec.json.Decoder(tuple[_Listed, ...])


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """References that were removed, and those that the daemon kept, with its reason."""

    removed: tuple[str, ...]
    kept: Mapping[str, str]


def prune(
    tree: Tree, graph: Graph, select: str, environment: Mapping[str, str], *, dry_run: bool = False
) -> Pruned:
    """Raises ``EngineError`` if there is no docker daemon."""
    with request("GET", "/images/json", environ=environment) as answer:
        data = read_bounded(answer, _LARGEST, "the docker daemon's answer")
    try:
        listed = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise EngineError(f"the docker daemon's answer cannot be read: {error}") from error
    there = [tag for image in listed for tag in image.repo_tags or ()]
    removed, kept = [], {}
    for name in reversed(graph.order(tree.images)):
        current = tree.images[name].reference
        if select and not selects(select, current):
            continue
        repository = split_name(current)[0]
        for tag in sorted(there):
            own, word = split_name(tag)
            if own != repository or tag == current or word == "latest":
                continue
            try:
                if not dry_run:
                    path = f"/images/{quote(tag, safe='/:')}"
                    with request("DELETE", path, environ=environment) as answer:
                        read_bounded(answer, _LARGEST, "the docker daemon's answer")
            except EngineError as error:
                kept[tag] = error.what
            else:
                removed.append(tag)
    return Pruned(removed=tuple(removed), kept=kept)
