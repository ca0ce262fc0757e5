"""What must be there before images are built: lockfile, parts, plans and packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from homeport.assemble.build import Build, unbuilt
from homeport.assemble.plan import BuildPlan, PlanInputs, make_plans
from homeport.building.request import BuildRequest, Connections
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.store import Store
from homeport.debian.archive.state import age
from homeport.locking.ensure_lock import EnsuredLock, ensure_lock
from homeport.locking.lock_paths import LockPaths, lock_paths, proof_path
from homeport.locking.seen_updates import seen_updates
from homeport.locking.update_policy import KEEP_LOCKED, UpdatePolicy
from homeport.locking.verification import Verification
from homeport.locking.verified_locks import verify_for_build
from homeport.oci.platform import Platform
from homeport.quantities import counted
from homeport.recipe.catalog import current_catalog, lock_command
from homeport.recipe.lock.reading import StoredLock
from homeport.recipe.lock.writing import format_lockfile, write_lockfile
from homeport.recipe.missing_files import check_files
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime
from homeport.tree.node import Tree

Trees = Mapping[tuple[str, Platform], Tree]


def _age(locked: EnsuredLock, recipe: Recipe, runtime: Runtime, connections: Connections) -> str:
    """How old a lockfile is, when it was last compared, and what the cache knows to be newer."""
    date, now = locked.lockfile.date, connections.clock()
    known = seen_updates(locked.lockfile, locked.digest, recipe, runtime.store)
    text = f"its packages are of {date:%Y-%m-%d}, {age(date, now)}"
    more = "homeport outdated lists newer packages"
    if known.checked is None:
        return f"{text}; not yet checked on this machine ({more})"
    text += f"; last checked {known.checked:%Y-%m-%d}"
    if known.newer is None:
        return f"{text} ({more})"
    if known.newer == 0:
        return f"{text}: no newer packages known"
    return f"{text}: --update all would bring {counted(known.newer, 'newer package')} ({more})"


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
    # 300 ms that other builds save
    from homeport.parts.building import PartTools
    from homeport.parts.kept import kept_folder
    from homeport.parts.resolve import PartOptions, resolve_parts

    asked = PartOptions(
        platforms=platforms,
        frozen=request.locked,
        fresh=request.fresh,
        offline=connections.offline,
        kept=tuple(map(kept_folder, paths.read)),
        update=request.update,
        as_of=request.as_of,
        command=request.command,
    )
    resolved = resolve_parts(
        recipe,
        prepared.lockfile,
        asked,
        PartTools(
            build=open_build(runtime.store, runtime, connections),
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


def prepare(
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
    check_files(recipe, platforms)
    catalog = current_catalog()
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

    locked = prepared((), request.update)
    if locked.locked is None:
        said = (
            f"{verify_lock(locked, recipe, runtime)}; {_age(locked, recipe, runtime, connections)}"
        )
        runtime.progress.note("lock", said)
    first, trees = pin_parts(
        recipe, locked, paths, platforms,
        request=request, runtime=runtime, connections=connections,
    )  # fmt: skip
    keep_proof(first, locked, recipe, runtime)
    plans = _plans(recipe, first, platforms, request, runtime=runtime, trees=trees)
    missing = [plan.platform for plan in unbuilt(plans, derived, runtime.pools.processor)]
    if not missing:
        return first, plans
    second = prepared(missing, KEEP_LOCKED)
    if second.lockfile != first.lockfile:
        # Packages were gone and the recipe was locked again: all plans are new.
        plans = _plans(recipe, second, platforms, request, runtime=runtime, trees=trees)
        missing = [plan.platform for plan in unbuilt(plans, derived, runtime.pools.processor)]
        third = prepared(missing, KEEP_LOCKED)
        return msgspec.structs.replace(second, debs={**second.debs, **third.debs}), plans
    return msgspec.structs.replace(first, debs=second.debs), plans


def verify_lock(prepared: EnsuredLock, recipe: Recipe, runtime: Runtime) -> Verification:
    """Compare a lockfile that was found with what its archives signed, without the network.

    Raises ``NotVerified`` if they differ.
    """
    found = StoredLock(path=prepared.path, lockfile=prepared.lockfile, digest=prepared.digest)
    return verify_for_build(found, recipe, runtime.store, runtime.cancel)


def keep_proof(new: EnsuredLock, old: EnsuredLock, recipe: Recipe, runtime: Runtime) -> None:
    """Write the proof of a lockfile that was just written, or that has none."""
    if new.digest == old.digest and (
        new.locked is None or (not new.written and proof_path(new.path).is_file())
    ):
        return
    # 300 ms that builds save whose lockfile is there
    from homeport.locking.proof import save_proof

    note = partial(runtime.progress.note, "lock")
    if save_proof(new.lockfile, new.path, recipe, runtime.store):
        note(f"wrote {proof_path(new.path)}")
    else:
        note(
            f"warning: no proof written for {new.path}: the cache lacks a part of its archive "
            f"states; to lock from complete ones: {lock_command(recipe.path)} --update all",
        )


def open_build(derived: Store, runtime: Runtime, connections: Connections) -> Build:
    return Build(runtime=runtime, derived=derived, open_image=connections.open_image)


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
