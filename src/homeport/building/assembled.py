"""The image of one platform, assembled and not written, for those who look at its tree."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from homeport.assemble.build import assemble_plan
from homeport.assemble.plan import BuildPlan
from homeport.building.platforms import choose_platforms
from homeport.building.preparation import open_build, prepare
from homeport.building.request import BuildRequest, Connections
from homeport.content.store import Store
from homeport.debian.deb.contents import PackageContents
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime
from homeport.tree.node import Tree


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    """One platform's tree. contents: its packages by name; warnings: as of a build."""

    recipe: Recipe
    plan: BuildPlan
    tree: Tree
    contents: Mapping[str, PackageContents]
    warnings: tuple[str, ...]


@contextlib.contextmanager
def assembled(
    request: BuildRequest, runtime: Runtime, connections: Connections
) -> Iterator[Assembled]:
    """Lock, fetch and assemble. Raises what these raise."""
    recipe = find_and_load(request.recipe, request.allow_outside)
    (platform,) = choose_platforms(request, recipe, ())
    with runtime.store.lease(), tempfile.TemporaryDirectory() as folder:
        # An empty store has no finished layer, so that every package is asked for.
        prepared, (plan,) = prepare(
            request, recipe, (platform,), Store(Path(folder)),
            runtime=runtime, connections=connections,
        )  # fmt: skip
        how = open_build(runtime.store, runtime, connections)
        made, contents = assemble_plan(plan, prepared.debs, how)
        yield Assembled(
            recipe=recipe, plan=plan, tree=made.tree, contents=contents, warnings=made.warnings
        )
