"""Building a part on a suitable engine; its inputs are made first, on this machine.

If the connection to an engine is lost, the next suitable one is used. Results are whole
trees; ``homeport.parts.resolve`` selects what the image takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

import msgspec

from homeport.assemble.build import Build
from homeport.buildkit.address import Engine
from homeport.buildkit.protocol.errors import EngineLost, EngineUnreachable
from homeport.buildkit.solve import ServicesFor
from homeport.content.blob import Blob
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError
from homeport.layers.trees import read_tree
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.source_packages import files_of_source
from homeport.net.client import Client
from homeport.oci.platform import Platform
from homeport.parts.engines import suitable_engines
from homeport.parts.inputs import Inputs, PathNode, source_of
from homeport.parts.root import fetch_url, make_root, write_context
from homeport.parts.running import PreparedRun, RunOptions, folder_of, run_commands, run_dockerfile
from homeport.parts.sources import fetch_sources
from homeport.progress import CancelToken
from homeport.recipe.lock.model import LockedSource, Lockfile
from homeport.recipe.model import Recipe, build_root_recipe
from homeport.recipe.parts import DockerfilePart, RunPart, SourceInput, UrlInput
from homeport.tree.node import Node, Source, Tree


class PartTools(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of parts; the callables are called only if needed.

    save: writes a lockfile that has changed
    """

    build: Build
    access: Callable[[], ArchiveAccess]
    client: Callable[[], Client]
    engines: Callable[[], Sequence[Engine]]
    services: ServicesFor
    save: Callable[[Lockfile], object]


class PartBuilder(msgspec.Struct, frozen=True, kw_only=True):
    """``fresh``: do not use the engine's cache."""

    recipe: Recipe
    tools: PartTools
    fresh: bool = False

    def dockerfile(
        self, part: DockerfilePart, platforms: Sequence[Platform]
    ) -> dict[Platform, Tree]:
        """The filesystem of the target, for each platform."""
        engines = list(self.tools.engines())
        found = {}
        for platform in platforms:
            fitting = engines
            if len(engines) > 1:
                progress = self.tools.build.runtime.progress
                suitable = suitable_engines(engines, [platform], self._cancel, progress)
                fitting = [engine for engine, _, _ in suitable]
            attempts = [
                (engine, run_dockerfile(engine, part, platform, self._how)) for engine in fitting
            ]
            found[platform] = self._first(attempts, part.name)
        return found

    def commands(
        self,
        part: RunPart,
        root: Lockfile,
        sources: Sequence[LockedSource],
        inputs: Inputs,
        platforms: Sequence[Platform],
    ) -> dict[Platform, Tree]:
        """The content of ``/out`` after the commands, for each platform."""
        fetched = fetch_sources(sources, root, self.tools.access)
        nodes = self._context(part, inputs, sources, fetched)
        build = self.tools.build
        context = write_context(nodes, root.epoch, build.runtime.store, self._cancel)
        suitable = suitable_engines(
            self.tools.engines(), part.on, self._cancel, build.runtime.progress
        )
        recipe = build_root_recipe(self.recipe, part)

        def attempts() -> Iterator[tuple[Engine, AbstractContextManager[BinaryIO]]]:
            for engine, description, on in suitable:
                made = make_root(recipe, root, on, build, self.tools.access)
                prepared = PreparedRun(
                    part=part, on=on, layout=description.has_oci_exporter, root=made.image,
                    layer=made.layer, context=context, epoch=root.epoch,
                )  # fmt: skip
                yield engine, run_commands(engine, prepared, platforms, self._how)

        everything = self._first(attempts(), part.name)
        return {platform: _below(everything, folder_of(platform)) for platform in platforms}

    def _first(
        self, attempts: Iterable[tuple[Engine, AbstractContextManager[BinaryIO]]], name: str
    ) -> Tree:
        """The result of the first engine that completes. Raises the error of the last one."""
        runtime = self.tools.build.runtime
        lost: HomeportError | None = None
        for engine, attempt in attempts:
            try:
                with attempt as stream:
                    return read_tree(
                        stream, runtime.store, Source(kind="part", name=name), self._cancel
                    )
            except (EngineLost, EngineUnreachable) as error:
                lost = error
                runtime.progress.note(
                    "engines", f"warning: {engine.name}: connection lost ({error.what})"
                )
        assert lost is not None
        raise lost

    def _context(
        self, part: RunPart, inputs: Inputs, sources: Sequence[LockedSource],
        fetched: Mapping[PackageFile, Blob],
    ) -> Iterator[PathNode]:  # fmt: skip
        """Local files, and files that were fetched, at their places in the build root."""
        for _, nodes in inputs.local:
            yield from nodes
        store = self.tools.build.runtime.store
        for each in part.inputs:
            source = Source(kind="part", name=part.name, detail=str(each.place))
            if isinstance(each, UrlInput):
                blob = fetch_url(each, self.tools.client, store)
                name = each.url.split("?")[0].rpartition("/")[2] or "file"
                to = each.to + name if each.to.endswith("/") else each.to
                yield _file(to, blob, source)
            elif isinstance(each, SourceInput):
                for file in files_of_source(source_of(each, sources)):
                    name = file.path.rpartition("/")[2]
                    yield _file(f"{each.to}/{name}", fetched[file], source)

    @property
    def _how(self) -> RunOptions:
        return RunOptions(
            folder=self.tools.build.runtime.store.root,
            progress=self.tools.build.runtime.progress,
            cancel=self._cancel,
            services=self.tools.services,
            fresh=self.fresh,
        )

    @property
    def _cancel(self) -> CancelToken:
        return self.tools.build.runtime.cancel


def _file(to: str, blob: Blob, source: Source) -> PathNode:
    path = to.replace("//", "/").strip("/").encode("utf-8", "surrogateescape")
    content = blob if blob.size else None
    return path, Node(type="file", mode=0o644, content=content, source=source)


def _below(tree: Tree, folder: str) -> Tree:
    """A folder as a tree of its own, hard links following."""
    prefix = folder.encode() + b"/"
    found = {}
    for path, node in tree.items():
        if path.startswith(prefix):
            inside = node
            if node.type == "hardlink" and node.target.startswith(prefix):
                inside = msgspec.structs.replace(node, target=node.target[len(prefix) :])
            found[path[len(prefix) :]] = inside
    return Tree(found)
