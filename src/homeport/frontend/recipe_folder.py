"""The recipe of a build: fetched from the client through the engine, loaded, and its lockfile.

First come the files that say what is needed: the recipe, its lockfile, and what it may extend.
Local files that the recipe names stay with the engine; only the step that assembles sees them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homeport.buildkit.llb.sources import local
from homeport.buildkit.llb.state import State
from homeport.buildkit.protobuf import changed
from homeport.errors import OutOfDate, UsageError
from homeport.frontend.bridge import Bridge
from homeport.frontend.options import Options
from homeport.locking.lock_paths import lock_paths
from homeport.locking.staleness import stale_reasons
from homeport.oci.platform import Platform
from homeport.printable import shell_path
from homeport.recipe.catalog import current_catalog
from homeport.recipe.entries import ImageFiles, LocalFiles
from homeport.recipe.loading import load_recipe
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.model import Recipe
from homeport.recipe.text_files import BadRecipe

#: What a recipe is read from besides itself: its lockfile and slices, and those of recipes
#: in folders beside it that it extends.
_RECIPE_FILES = (
    "*.yaml", "*.yml", "*.lock", "slices/*.yaml", "*/homeport.yaml",
    "*/slices/*.yaml",
)  # fmt: skip
_SHOWN = 5


def fetch_recipe(bridge: Bridge, options: Options, folder: Path) -> Recipe:
    """The recipe, loaded from ``folder``, which becomes the working directory.

    Raises ``Faults`` with every fault, and ``UsageError`` if there is no such file.
    """
    source = _source(options, (options.filename, *_RECIPE_FILES))
    bridge.fetch(bridge.solve(source), folder)
    os.chdir(folder)
    path = Path(options.filename)
    if not path.is_file():
        raise UsageError(f"{options.filename}: no such file in the folder of the recipe")
    return load_recipe(path, current_catalog())


def find_lockfile(recipe: Recipe) -> Lockfile:
    """The lockfile beside the recipe. Raises ``OutOfDate`` if it is missing or stale."""
    found = lock_paths(recipe, current_catalog(), Path()).find()
    hint = f"run homeport lock {shell_path(str(recipe.path))}, and commit {recipe.lock_name}"
    if found is None:
        raise OutOfDate(
            f"{recipe.path}: the lockfile {recipe.lock_name} is missing beside the recipe",
            hint=hint,
        )
    reasons = stale_reasons(recipe, found.lockfile)
    if reasons:
        raise OutOfDate(
            f"{recipe.path} and {recipe.lock_name} disagree: {'; '.join(reasons[:_SHOWN])}",
            hint=hint,
        )
    return found.lockfile


def refuse_what_needs_more(recipe: Recipe) -> None:
    """Raise ``BadRecipe`` with the line of what the frontend does not build."""
    for part in recipe.parts:
        raise BadRecipe(
            f"the part {part.name!r} cannot be built by the frontend",
            where=part.place.where(),
            hint="use homeport build, which builds parts",
        )
    for files in recipe.files:
        if isinstance(files, ImageFiles):
            raise BadRecipe(
                f"files of the image {files.image} cannot be read by the frontend",
                where=files.place.where(),
                hint="use homeport build, which reads other images",
            )


def chosen_platforms(recipe: Recipe, options: Options) -> tuple[Platform, ...]:
    """The platforms to build. Raises ``UsageError`` for one that the recipe lacks."""
    known = {platform.normalized(): platform for platform in recipe.platforms}
    if options.platforms:
        missing = [each for each in options.platforms if each.normalized() not in known]
        if missing:
            names = ", ".join(map(str, recipe.platforms))
            raise UsageError(
                f"{recipe.path}: the recipe does not name the platform {missing[0]}",
                hint=f"it names {names}",
            )
        return tuple(known[each.normalized()] for each in options.platforms)
    for each in options.engine:
        if each in known:
            return (known[each],)
    return recipe.platforms[:1]


def recipe_source(recipe: Recipe, options: Options) -> State:
    """The recipe's folder with the local files that it names, as a source of the engine."""
    named = []
    for files in recipe.files:
        if isinstance(files, LocalFiles):
            path = os.path.relpath(files.source)
            if path.startswith(".."):
                continue  # of the catalog, which the frontend's own image has
            named.append("**" if path == "." else path)
    return _source(options, (options.filename, *_RECIPE_FILES, *dict.fromkeys(named)))


def _source(options: Options, include: Sequence[str]) -> State:
    state = local(
        "dockerfile", include=include, shared_key="homeport", name=f"load {options.filename}"
    )
    return _with_session(state, options.session)


def _with_session(state: State, session: str) -> State:
    """A local source of this client's own session, as frontends ask for it."""
    node = state.node
    if node is None or node.op.source is None or not session:
        return state
    attrs = {**node.op.source.attrs, "local.session": session}
    op = changed(node.op, source=changed(node.op.source, attrs=attrs))
    return State(msgspec.structs.replace(node, op=op), state.index)
