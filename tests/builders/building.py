"""Builds of small recipes from small archives, and images as text.

world = BuildWorld(tmp_path, [deb("hello", files={"usr/bin/hello": b"x"})])
assert listing(world.build("packages: [hello]")) == {"usr/bin/hello": "file 0644 x", …}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from builders.locking import World
from builders.net import quick_client
from builders.runtime import runtime
from homeport.building.request import BuildRequest, BuildResult, Connections
from homeport.building.run import run_build
from homeport.buildkit.address import Engine
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.images.address import Address, LayoutAddress, parse_source
from homeport.images.image import Image, Index, digest_of
from homeport.images.transports.base import Destination
from homeport.images.transports.select import destination_for, source_for
from homeport.layers.trees import read_tree
from homeport.locking.archive_access import with_local
from homeport.oci.platform import Platform, parse_platform
from homeport.progress import CancelToken
from homeport.recipe.model import Recipe
from homeport.tree.node import Node, Source, Tree

#: Steps off: an image has what its packages and its recipe give, and parents.
BARE = (
    "steps: {usrmerge: false, accounts: false, os_release: false, ca_bundle: false,"
    " status_database: false, copyright: false, layout: false, alternatives: false,"
    " packaged_state: false, ld_cache: false, java_keystore: false, tmp: false}\n"
)


class BuildWorld(World):
    """A World that can build too; its recipes are for linux/amd64 unless they say otherwise.

    engines: for parts of recipes that run; asking for one where there is none fails the test
    """

    engines: Sequence[Engine] = ()

    def write_recipe(self, text: str) -> Path:
        recipe = self.recipe(text)
        return recipe.path

    def build(self, text: str | Path, *, store: Store | None = None, **options: Any) -> BuildResult:
        """Build a recipe's text, or its file, into ``out`` beside the archive."""
        path = text if isinstance(text, Path) else self.write_recipe(text)
        outputs = options.pop("outputs", (LayoutAddress(path=self.root / "out"),))
        request = BuildRequest(recipe=str(path), outputs=outputs, directory=self.root, **options)
        with Pools(CancelToken(), processor=2) as pools, self.connections(pools) as connections:
            run = runtime(store or self.store, pools=pools, progress=self.notes)
            return run_build(request, run, connections)

    @contextmanager
    def connections(self, pools: Pools) -> Iterator[Connections]:
        """What a build reaches: this archive, layouts, and no registry."""
        with self.access() as access:

            def reached(recipe: Recipe, mirrors: Sequence[str]) -> Any:
                return msgspec.structs.replace(access, mirrors=with_local(access.mirrors, recipe))

            def engines(addresses: Sequence[str]) -> Sequence[Engine]:
                assert self.engines, "an engine was asked for"
                return self.engines

            yield Connections(
                archives=reached,
                open_image=_open,
                destination=_destination,
                client=lambda: quick_client(cancel=pools.cancel),
                engines=engines,
                session=lambda _build: {},
                offline=self.offline,
                clock=lambda: self.now,
            )


def _open(address: str) -> AbstractContextManager[Image | Index]:
    return source_for(parse_source(address), _no_registry).open(runtime())


def _destination(address: Address) -> Destination:
    return destination_for(address, _no_registry)


def _no_registry(address: object) -> Any:
    raise AssertionError(f"no registry is part of this test: {address}")


def tree_of(result: BuildResult, platform: str = "linux/amd64") -> Tree:
    """The tree in the layer of one image."""
    image = image_of(result, platform)
    (layer,) = image.document.parsed.layers
    store = Store(Path(str(result.written[0].address.path)).parent / "read back")  # type: ignore[union-attr]
    with verified(image.blobs[digest_of(layer)]) as stream:
        return read_tree(stream, store, Source(kind="layer", name="test"), CancelToken())


def image_of(result: BuildResult, platform: str = "linux/amd64") -> Image:
    wanted: Platform = parse_platform(platform)
    return next(each.image for each in result.built.images if each.platform == wanted)


def listing(result: BuildResult, platform: str = "linux/amd64") -> dict[str, str]:
    """Path → what is there, without directories that only hold other things."""
    tree = tree_of(result, platform)
    return {
        path.decode(): _describe(node)
        for path, node in tree.items()
        if node.type != "directory" or not _is_plain_parent(tree, path, node)
    }


def _is_plain_parent(tree: Tree, path: bytes, node: Node) -> bool:
    inside = not path or any(other.startswith(path + b"/") for other in tree)
    return inside and node.mode == 0o755


def _describe(node: Node) -> str:
    owner = f" {node.uid}:{node.gid}" if node.uid or node.gid else ""
    if node.type == "symlink":
        return f"-> {node.target.decode()}"
    if node.type == "hardlink":
        return f"=> {node.target.decode()}"
    if node.type != "file":
        return f"{node.type} {node.mode:04o}{owner}"
    data = b""
    if node.content is not None:
        with node.content.open() as stream:
            data = stream.read()
    return f"{node.mode:04o}{owner} {data.decode('utf-8', 'backslashreplace')}".rstrip()
