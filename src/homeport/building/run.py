"""A build from beginning to end: recipe → lockfile → plans → images → where they go.

What ``homeport build`` and ``App.build`` do, as one function over plain members. The parts
have homes of their own (``recipe``, ``locking``, ``assemble``, ``images``); here they are
put in order. Nothing is fetched, and no package read, while the cache has the answer.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.assemble.build import BuiltIndex, build
from homeport.assemble.plan import BuildPlan
from homeport.building.attestations import attested
from homeport.building.outputs import choose_outputs, fitting_image, load_image
from homeport.building.platforms import choose_platforms
from homeport.building.preparation import open_build, prepare
from homeport.building.request import BuildRequest, BuildResult, Connections
from homeport.content.blob import Blob
from homeport.content.files import explained
from homeport.content.store import Store
from homeport.errors import AnswerNo
from homeport.images.address import Address, LayoutAddress, RegistryAddress
from homeport.images.image import Image
from homeport.locking.ensure_lock import EnsuredLock
from homeport.locking.update_policy import KEEP_LOCKED
from homeport.oci.platform import Platform
from homeport.recipe.catalog import current_catalog
from homeport.recipe.loading import find_and_load
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

if TYPE_CHECKING:
    from homeport.sbom.model import Bill, Subject


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    """A build before it is written anywhere. kit: the rebuild kit's layer, if there is one."""

    locked: EnsuredLock
    built: BuiltIndex
    kit: Blob | None


def run_build(
    request: BuildRequest, runtime: Runtime, connections: Connections, *,
    recipe: Recipe | None = None,
) -> BuildResult:  # fmt: skip
    """Build, and write everywhere that was asked for.

    recipe: if it was loaded already
    Raises ``OutOfDate`` for ``locked``, ``AnswerNo`` for a failed ``check``, and what
    reading recipes, locking, building and writing raise.
    """
    recipe = recipe or _load(request)
    outputs = choose_outputs(request, recipe)
    platforms = choose_platforms(request, recipe, outputs)
    with ExitStack() as stack:
        stack.enter_context(runtime.store.lease())
        derived = _scratch_store(runtime.store, stack) if request.fresh else runtime.store
        made = _built_in(
            derived, request, recipe, platforms, runtime=runtime, connections=connections
        )
        built = made.built
        if request.check:
            _check(request, recipe, platforms, built, runtime=runtime, connections=connections)
        value = built.images[0].image if len(built.images) == 1 else built.index
        kit = _kit_artifact(made)
        written = []
        for output in outputs:
            image = fitting_image(value, output, built)
            written.append(connections.destination(output).write(image, runtime))
            if kit is not None and _takes_kit(output, request):
                attached = connections.attached(output)
                if attached is not None:
                    attached.write_referrers([kit])
        loaded = load_image(request, recipe, value, runtime) if request.load else None
    return BuildResult(
        recipe=recipe, locked=made.locked, built=built, written=tuple(written), kit=kit,
        loaded=loaded, compared=request.check, fresh=request.fresh,
    )  # fmt: skip


def _load(request: BuildRequest) -> Recipe:
    recipe = find_and_load(request.recipe, request.allow_outside)
    if not request.moved:
        return recipe
    # 30 ms that other builds save
    from homeport.building.rebuild_kit import with_moved

    return with_moved(recipe, request.moved)


def _takes_kit(output: Address, request: BuildRequest) -> bool:
    """Registries list what refers to an image apart from it; in a layout it is a second entry."""
    if isinstance(output, RegistryAddress):
        return True
    return isinstance(output, LayoutAddress) and request.kit_in_layouts


def _kit_artifact(made: _Built) -> Image | None:
    if made.kit is None:
        return None
    # 30 ms that a build without a kit saves
    from homeport.building.rebuild_kit import kit_artifact, lock_proof

    return kit_artifact(made.kit, made.built.index, lock_proof(made.locked))


def run_bill(
    request: BuildRequest, runtime: Runtime, connections: Connections
) -> tuple[Bill, Subject]:
    """The bill of one platform of a recipe. The image is built, and written nowhere."""
    # 40 ms that a build with nothing to do saves
    from homeport.building.statements import complete_bill, subject_of

    recipe = _load(request)
    (platform,) = choose_platforms(request, recipe, ())
    with runtime.store.lease():
        prepared, plans = prepare(
            request, recipe, (platform,), runtime.store, runtime=runtime, connections=connections
        )
        built = build(plans, prepared.debs, open_build(runtime.store, runtime, connections))
        bill = complete_bill(built.images[0], plans[0], prepared.lockfile)
        return bill, subject_of(built.images[0], plans[0])


def _built_in(
    derived: Store,
    request: BuildRequest,
    recipe: Recipe,
    platforms: tuple[Platform, ...],
    *,
    runtime: Runtime,
    connections: Connections,
) -> _Built:
    """All images; what is computed on the way goes to ``derived``, downloads to the cache."""
    prepared, plans = prepare(
        request, recipe, platforms, derived, runtime=runtime, connections=connections
    )
    built = build(plans, prepared.debs, open_build(derived, runtime, connections))
    kit = _kit(request, recipe, prepared, plans, derived, runtime=runtime)
    index = attested(
        built, plans, prepared.lockfile, request.attest, derived,
        kit=kit.digest if kit is not None else None,
    )  # fmt: skip
    return _Built(locked=prepared, built=index, kit=kit)


def _kit(
    request: BuildRequest,
    recipe: Recipe,
    locked: EnsuredLock,
    plans: tuple[BuildPlan, ...],
    derived: Store,
    *,
    runtime: Runtime,
) -> Blob | None:
    """The layer of the rebuild kit; without one, a note says why."""
    if "kit" not in request.attest:
        return None
    # 30 ms that a build without a kit saves
    from homeport.building.rebuild_kit import KitInputs, NoKit, kit_layer

    inputs = KitInputs(
        request=request, recipe=recipe, locked=locked, plans=plans, catalog=current_catalog()
    )
    try:
        return kit_layer(inputs, derived, runtime.cancel)
    except NoKit as error:
        advice = f"; {error.hint}" if error.hint else ""
        runtime.progress.note("build", f"warning: no rebuild kit: {error.what}{advice}")
        return None


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
        second = _built_in(
            scratch, again, recipe, platforms, runtime=runtime, connections=connections
        ).built
    different = [
        f"{one.platform}: {one.image.digest}, then {other.image.digest}"
        for one, other in zip(built.images, second.images, strict=True)
        if one.image.digest != other.image.digest
    ]
    if different or built.index.digest != second.index.digest:
        what = "; ".join(different) or "only the index, not its images"
        raise AnswerNo(f"the second build differs: {what}")


def _scratch_store(store: Store, stack: ExitStack) -> Store:
    import tempfile  # 5 ms that a build with nothing to do saves

    with explained(store.root):
        folder = tempfile.TemporaryDirectory(prefix="scratch-", dir=store.working_folder())
    return Store(Path(stack.enter_context(folder)))
