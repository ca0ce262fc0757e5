"""A build from beginning to end: recipe → lockfile → plans → images → where they go.

What ``homeport build`` and ``App.build`` do, as one function over plain members. The parts
have homes of their own (``recipe``, ``locking``, ``assemble``, ``images``); here they are
put in order. Nothing is fetched, and no package read, while the cache has the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.assemble.build import Build, BuiltIndex, build, unbuilt
from homeport.assemble.plan import BuildOptions, BuildPlan, PlanInputs, make_plans
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.store import Store
from homeport.errors import AnswerNo, UsageError
from homeport.images.address import (
    Address,
    ArchiveAddress,
    LayoutAddress,
)
from homeport.images.image import Image, Index
from homeport.images.transports.base import Destination, Written
from homeport.locking.ensure_lock import EnsuredLock, ensure_lock
from homeport.locking.lock_paths import lock_paths
from homeport.locking.update_policy import KEEP_LOCKED, UpdatePolicy
from homeport.oci.platform import Platform, native_platform, parse_platform
from homeport.oci.reference import DEFAULT_TAG
from homeport.recipe.catalog import find_recipe, shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.lock.writing import format_lockfile, write_lockfile
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

if TYPE_CHECKING:
    from homeport.buildkit.address import Engine
    from homeport.buildkit.session.session import Service
    from homeport.images.load import Loaded
    from homeport.locking.archive_access import ArchiveAccess
    from homeport.locking.lock_paths import LockPaths
    from homeport.net.client import Client
    from homeport.tree.node import Tree

#: A tag as the distribution specification has it.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

OpenImage = Callable[[str], AbstractContextManager[Image | Index]]


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants built.

    recipe:    a name of the catalog, a recipe file or its folder
    outputs:   destinations; empty: ``./NAME.oci``
    platforms: ``all``, ``native`` or OCI platforms; empty: what the outputs need
    tags:      for outputs that name none themselves
    locked:    refuse to lock again
    fresh:     use nothing that was computed before, only downloads (``--no-cache``)
    check:     build a second time from downloads alone and compare
    load:      hand the native image to a running docker or podman
    engines:   for parts that must run; empty: what the surroundings name
    command:   what the user typed, for refusals that print the command to use instead
    """

    recipe: str
    outputs: tuple[Address, ...] = ()
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    options: BuildOptions = msgspec.field(default_factory=BuildOptions)
    mirrors: tuple[str, ...] = ()
    lockfile: Path | None = None
    locked: bool = False
    update: UpdatePolicy = KEEP_LOCKED
    as_of: datetime | None = None
    fresh: bool = False
    check: bool = False
    load: bool = False
    engines: tuple[str, ...] = ()
    directory: Path = msgspec.field(default_factory=Path.cwd)
    command: str = "homeport build"


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was built and where it went."""

    recipe: Recipe
    prepared: EnsuredLock
    built: BuiltIndex
    written: tuple[Written, ...]
    loaded: Loaded | None = None


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """How a build reaches what is outside; ``homeport.app`` makes it, nothing is connected yet.

    engines: those named, or those that the environment names
    session: what engines may ask of us while they build: logins of registries
    """

    archives: Callable[[Recipe, Sequence[str]], ArchiveAccess]
    open_image: OpenImage
    destination: Callable[[Address], Destination]
    client: Callable[[], Client]
    engines: Callable[[Sequence[str]], Sequence[Engine]]
    session: Callable[[], Mapping[str, Service]]
    offline: bool = False


def run_build(request: BuildRequest, runtime: Runtime, connections: Connections) -> BuildResult:
    """Build, and write everywhere that was asked for.

    Raises ``OutOfDate`` for ``locked``, ``AnswerNo`` for a failed ``check``, and what
    reading recipes, locking, building and writing raise.
    """
    catalog = shipped_catalog()
    recipe = load_recipe(find_recipe(request.recipe, catalog), catalog)
    outputs = _outputs(request, recipe)
    platforms = _platforms(request, recipe, outputs)
    with ExitStack() as stack:
        stack.enter_context(runtime.store.lease())
        derived = _scratch_store(runtime.store, stack) if request.fresh else runtime.store
        prepared, built = _built_in(
            derived, request, recipe, platforms, runtime=runtime, connections=connections
        )
        if request.check:
            _check(request, recipe, platforms, built, runtime=runtime, connections=connections)
        value = built.images[0].image if len(built.images) == 1 else built.index
        written = tuple(
            connections.destination(output).write(_fitting(value, output, built), runtime)
            for output in outputs
        )
        loaded = _load(request, recipe, value, runtime) if request.load else None
    return BuildResult(
        recipe=recipe, prepared=prepared, built=built, written=written, loaded=loaded
    )


def _prepare(
    request: BuildRequest,
    recipe: Recipe,
    platforms: tuple[Platform, ...],
    derived: Store,
    *,
    runtime: Runtime,
    connections: Connections,
) -> tuple[EnsuredLock, tuple[BuildPlan, ...]]:
    """A lockfile that answers the recipe, plans, and the packages of what must be built.

    Packages of finished layers are not asked for: such an image is built again although
    the archive has dropped them.
    """
    catalog = shipped_catalog()
    paths = lock_paths(recipe, catalog, request.directory, file=request.lockfile)

    def prepared(wanted: Sequence[Platform], update: UpdatePolicy) -> EnsuredLock:
        return ensure_lock(
            recipe,
            paths,
            runtime.store,
            lambda: connections.archives(recipe, request.mirrors),
            platforms=wanted,
            frozen=request.locked,
            update=update,
            as_of=request.as_of if update == request.update else None,
            command=request.command,
        )

    first, trees = pin_parts(
        recipe, prepared((), request.update), paths, platforms,
        request=request, runtime=runtime, connections=connections,
    )  # fmt: skip
    plans = _plans(recipe, first, platforms, request, runtime=runtime, trees=trees)
    missing = [plan.platform for plan in unbuilt(plans, derived)]
    if not missing:
        return first, plans
    second = prepared(missing, KEEP_LOCKED)
    if second.lockfile != first.lockfile:
        # Packages were gone and the recipe was locked again: all plans are new.
        plans = _plans(recipe, second, platforms, request, runtime=runtime, trees=trees)
        missing = [plan.platform for plan in unbuilt(plans, derived)]
        third = prepared(missing, KEEP_LOCKED)
        return msgspec.structs.replace(second, debs={**second.debs, **third.debs}), plans
    return msgspec.structs.replace(first, debs=second.debs), plans


Trees = Mapping[tuple[str, Platform], "Tree"]


def pin_parts(
    recipe: Recipe,
    prepared: EnsuredLock,
    paths: LockPaths,
    platforms: tuple[Platform, ...],
    *,
    request: BuildRequest,
    runtime: Runtime,
    connections: Connections,
) -> tuple[EnsuredLock, Trees]:
    """What the recipe's parts give, built on an engine where lockfile and cache lack it.

    A recipe without parts never gets further than the first line. Raises what
    ``parts.resolve.resolve_parts`` does; the lockfile is written again where it changed.
    """
    if not recipe.parts and not prepared.lockfile.parts:
        return prepared, {}
    from homeport.parts.building import PartTools
    from homeport.parts.resolve import PartOptions, resolve_parts

    asked = PartOptions(
        platforms=platforms,
        frozen=request.locked,
        fresh=request.fresh,
        offline=connections.offline,
        update=request.update,
        as_of=request.as_of,
        command=request.command,
    )
    resolved = resolve_parts(
        recipe,
        prepared.lockfile,
        asked,
        PartTools(
            build=_build(runtime.store, runtime, connections),
            access=lambda: connections.archives(recipe, request.mirrors),
            client=connections.client,
            engines=lambda: connections.engines(request.engines),
            services=connections.session,
            save=lambda lockfile: write_lockfile(lockfile, paths.write),
        ),
    )
    if resolved.lockfile == prepared.lockfile:
        return prepared, resolved.trees
    digest = Digest.of(format_lockfile(resolved.lockfile))  # as ``save`` wrote it last
    pinned = msgspec.structs.replace(
        prepared, lockfile=resolved.lockfile, path=paths.write, digest=digest
    )
    return pinned, resolved.trees


def lock_recipe(
    request: BuildRequest, runtime: Runtime, connections: Connections
) -> tuple[Recipe, EnsuredLock]:
    """What ``homeport lock`` does: packages and parts, for all platforms of the recipe."""
    catalog = shipped_catalog()
    recipe = load_recipe(find_recipe(request.recipe, catalog), catalog)
    paths = lock_paths(recipe, catalog, request.directory, file=request.lockfile)
    with runtime.store.lease():
        prepared = ensure_lock(
            recipe,
            paths,
            runtime.store,
            lambda: connections.archives(recipe, request.mirrors),
            update=request.update,
            as_of=request.as_of,
            command=request.command,
        )
        prepared, _ = pin_parts(
            recipe,
            prepared,
            paths,
            recipe.platforms,
            request=request,
            runtime=runtime,
            connections=connections,
        )
    return recipe, prepared


def _plans(
    recipe: Recipe,
    prepared: EnsuredLock,
    platforms: tuple[Platform, ...],
    request: BuildRequest,
    *,
    runtime: Runtime,
    trees: Trees,
) -> tuple[BuildPlan, ...]:
    with explained(recipe.path, "read"):
        recipe_digest = Digest.of(recipe.path.read_bytes())
    asked = PlanInputs(
        recipe=recipe,
        recipe_digest=recipe_digest,
        lockfile=prepared.lockfile,
        lockfile_digest=prepared.digest,
        trees=trees,
    )
    return make_plans(asked, platforms, request.options, runtime.cancel)


def _build(derived: Store, runtime: Runtime, connections: Connections) -> Build:
    return Build(runtime=runtime, derived=derived, open_image=connections.open_image)


def _built_in(
    derived: Store,
    request: BuildRequest,
    recipe: Recipe,
    platforms: tuple[Platform, ...],
    *,
    runtime: Runtime,
    connections: Connections,
) -> tuple[EnsuredLock, BuiltIndex]:
    """All images; what is computed on the way goes to ``derived``, downloads to the cache."""
    prepared, plans = _prepare(
        request, recipe, platforms, derived, runtime=runtime, connections=connections
    )
    return prepared, build(plans, prepared.debs, _build(derived, runtime, connections))


def _scratch_store(store: Store, stack: ExitStack) -> Store:
    import tempfile  # only where something is built twice

    with explained(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="scratch-", dir=store.root)
    return Store(Path(stack.enter_context(folder)))


def _check(
    request: BuildRequest,
    recipe: Recipe,
    platforms: tuple[Platform, ...],
    built: BuiltIndex,
    *,
    runtime: Runtime,
    connections: Connections,
) -> None:
    """Build once more from downloads alone; ``AnswerNo`` naming the platforms that differ."""
    with ExitStack() as stack:
        scratch = _scratch_store(runtime.store, stack)
        again = msgspec.structs.replace(request, update=KEEP_LOCKED, as_of=None, fresh=False)
        _, second = _built_in(
            scratch, again, recipe, platforms, runtime=runtime, connections=connections
        )
    different = [
        f"{one.platform}: {one.image.digest} and {other.image.digest}"
        for one, other in zip(built.images, second.images, strict=True)
        if one.image.digest != other.image.digest
    ]
    if different or built.index.digest != second.index.digest:
        raise AnswerNo(f"two builds differ: {'; '.join(different)}")


def _outputs(request: BuildRequest, recipe: Recipe) -> tuple[Address, ...]:
    """Every place to write to, with its tag."""
    outputs = request.outputs
    if not outputs and not request.load:
        outputs = (LayoutAddress(path=Path(f"{recipe.name}.oci")),)
    tags = request.tags or (DEFAULT_TAG,)
    return tuple(tagged for output in outputs for tagged in _tagged(output, recipe, tags))


def _tagged(output: Address, recipe: Recipe, tags: tuple[str, ...]) -> Sequence[Address]:
    match output:
        case LayoutAddress(tag=""):
            return [msgspec.structs.replace(output, tag=_short(tag)) for tag in tags]
        case ArchiveAddress(tag=""):
            if len(tags) > 1:
                raise UsageError(
                    f"{output} holds one image under one name, but there are {len(tags)} tags",
                    hint=f"write {output}:TAG, or use oci:DIR",
                )
            docker = output.format == "docker-archive"
            return [
                msgspec.structs.replace(
                    output, tag=_full(recipe, tags[0]) if docker else _short(tags[0])
                )
            ]
        case _:
            return [output]


def _short(tag: str) -> str:
    """The part of ``NAME:TAG`` that is a tag."""
    short = tag.rpartition(":")[2]
    if not _TAG.fullmatch(short):
        raise UsageError(
            f"invalid tag {tag!r}",
            hint="use up to 128 letters, digits, _ . and -; the first is not . or -",
        )
    return short


def _full(recipe: Recipe, tag: str) -> str:
    """A name for engines: as given, or the recipe's with this tag."""
    name = tag if ":" in tag else f"{recipe.name}:{tag}"
    from homeport.oci.reference import parse_reference

    return str(parse_reference(name))


def _platforms(
    request: BuildRequest, recipe: Recipe, outputs: tuple[Address, ...]
) -> tuple[Platform, ...]:
    """The platforms to build, in the recipe's order."""
    native = native_platform()
    if not request.platforms:
        if outputs and not all(map(_is_docker_archive, outputs)):
            return recipe.platforms
        return _known(recipe, (native,))
    wanted: list[Platform] = []
    for text in request.platforms:
        if text == "all":
            wanted += recipe.platforms
        else:
            wanted.append(native if text == "native" else parse_platform(text))
    found = _known(recipe, wanted)
    if len(found) > 1 and outputs and all(map(_is_docker_archive, outputs)):
        raise UsageError(
            f"a docker archive holds one platform, but --platform names {len(found)}",
            hint="write one archive for each, or oci-archive:FILE",
        )
    return found


def _known(recipe: Recipe, wanted: Sequence[Platform]) -> tuple[Platform, ...]:
    for platform in wanted:
        if platform not in recipe.platforms:
            raise UsageError(
                f"{recipe.name} is not made for {platform}",
                where=recipe.place.where(),
                hint=f"it is made for {', '.join(map(str, recipe.platforms))}",
            )
    return tuple(platform for platform in recipe.platforms if platform in wanted)


def _is_docker_archive(output: Address) -> bool:
    return isinstance(output, ArchiveAddress) and output.format == "docker-archive"


def _fitting(value: Image | Index, output: Address, built: BuiltIndex) -> Image | Index:
    """What goes to ``output``: everything, or the native image where only one fits.

    Whoever reads a layout or a registry expects an index however many platforms there are.
    """
    if _is_docker_archive(output):
        return _native_image(value)
    return built.index


def _native_image(value: Image | Index) -> Image:
    from homeport.images.transports.docker_archive import one_platform

    return one_platform(value)


def _load(request: BuildRequest, recipe: Recipe, value: Image | Index, runtime: Runtime) -> Loaded:
    from homeport.images.load import load
    from homeport.oci.reference import parse_reference

    name = _full(recipe, (request.tags or (DEFAULT_TAG,))[0])
    return load(_native_image(value), parse_reference(name), runtime)


def key_values(pairs: Sequence[str], what: str) -> Mapping[str, str]:
    """``KEY=VALUE`` pairs of a repeated option. Raises ``UsageError``."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"{what} {pair!r}: KEY=VALUE is expected")
        found[key] = value
    return found
