"""``build``: from plans to an index of finished images, platforms in parallel.

The caller's thread coordinates; reading packages and writing layers are leaves on the
processor pool. What was built before is not built again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from homeport.assemble.image import make_image, make_index
from homeport.assemble.layer_cache import FinishedLayers, drop_layers, find_layers, store_layers
from homeport.assemble.plan import BuildPlan, PlannedPackage
from homeport.content.blob import Blob, verified
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.store import Store
from homeport.content.thread_pools import Threads, run_all
from homeport.debian.package import PackageFile
from homeport.errors import IntegrityError
from homeport.images.image import Image, Index
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import AccountNumbers
from homeport.runtime import Runtime
from homeport.tree.layer_writer import WrittenLayer

if TYPE_CHECKING:  # see the imports inside functions
    from homeport.assemble.image_files import OpenImage
    from homeport.assemble.tree_assembly import AssembledTree
    from homeport.debian.deb.contents import PackageContents
    from homeport.tree.node import Node


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one build.

    derived:    where computed content goes: the cache, or a scratch store
    open_image: opens the images that a recipe takes files from
    """

    runtime: Runtime
    derived: Store
    open_image: OpenImage


class BuiltImage(msgspec.Struct, frozen=True, kw_only=True):
    """One finished image and its row in the table.

    accounts: numbers that neither Debian nor the recipe fixes
    declared: dependencies that packages declare and the image does not have
    bill:     the bill of materials as JSON, without what the lockfile adds
    layers:   lowest first
    seconds:  of making the layers; 0 if they were there
    """

    platform: Platform
    image: Image
    layers: tuple[WrittenLayer, ...]
    packages: tuple[PackageFile, ...]
    accounts: AccountNumbers
    warnings: tuple[str, ...]
    declared: tuple[str, ...]
    bill: Blob
    seconds: float
    cached: bool


class BuiltIndex(msgspec.Struct, frozen=True, kw_only=True):
    """All images of a build, and the index over them."""

    index: Index
    images: tuple[BuiltImage, ...]


def unbuilt(plans: Sequence[BuildPlan], store: Store, pool: Threads) -> list[BuildPlan]:
    """The plans whose layers are not in ``store``: only their packages are needed.

    pool: layers of several platforms are hashed at once, most of what a build without changes does
    """
    intact = run_all(pool, [partial(_intact, plan, store) for plan in plans])
    return [plan for plan, whole in zip(plans, intact, strict=True) if not whole]


def build(plans: tuple[BuildPlan, ...], debs: Mapping[PackageFile, Blob], how: Build) -> BuiltIndex:
    """Build every plan. ``debs`` holds the packages of those that are ``unbuilt``.

    Raises what reading packages, assembling trees and writing layers raises; nothing of a
    failed image stays.
    """
    known = {plan.platform: find_layers(plan, how.derived) for plan in plans}
    missing = [plan for plan in plans if known[plan.platform] is None]
    contents = _read_packages(missing, debs, how) if missing else {}
    made = run_all(
        how.runtime.pools.processor,
        [partial(_make_layers, plan, contents, how) for plan in missing],
    )
    new = {plan.platform: each for plan, each in zip(missing, made, strict=True)}
    images = []
    for plan in plans:
        old = known[plan.platform]
        made_of, seconds = new[plan.platform] if old is None else (old, 0.0)
        images.append(
            BuiltImage(
                platform=plan.platform,
                image=make_image(plan, made_of.layers),
                layers=made_of.layers,
                packages=tuple(package.file for package in plan.packages),
                accounts=made_of.accounts,
                warnings=made_of.warnings,
                declared=made_of.declared,
                bill=made_of.bill,
                seconds=seconds,
                cached=old is not None,
            )
        )
    return BuiltIndex(
        index=make_index([each.image for each in images], plans), images=tuple(images)
    )


def assemble_plan(
    plan: BuildPlan, debs: Mapping[PackageFile, Blob], how: Build
) -> tuple[AssembledTree, Mapping[str, PackageContents]]:
    """One plan as a tree, and the packages that it is made of, by name; no layer is written."""
    return _assembled(plan, _read_packages([plan], debs, how), how)


def _assembled(
    plan: BuildPlan, contents: ContentsOf, how: Build
) -> tuple[AssembledTree, dict[str, PackageContents]]:
    # 25 ms that a build without changes saves.
    from homeport.assemble.image_files import image_file_nodes
    from homeport.assemble.tree_assembly import assemble_tree, globs_of

    image_files: list[tuple[bytes, Node]] = []
    if plan.image_files:
        image_files = image_file_nodes(plan, how.open_image, how.derived, how.runtime.cancel)
    own = {
        package.name: contents[package.file, globs_of(package, plan).globs]
        for package in plan.packages
    }
    return assemble_tree(plan, own, image_files, how.derived), own


def _intact(plan: BuildPlan, store: Store) -> bool:
    """Whether the finished layers are there: damaged ones are dropped.

    Each is read through, unless it was before and its file has not changed since.
    """
    found = find_layers(plan, store)
    if found is None:
        return False
    known = KnownGoodFiles(store)
    for layer in found.layers:
        try:
            state = known.state(layer.blob)
            if known.has(state):
                continue
            with verified(layer.blob, "a finished layer") as stream:
                while stream.read(1 << 20):
                    pass
            known.add(state, layer.blob)
        except (IntegrityError, OSError):
            store.drop(layer.digest)
            drop_layers(plan, store)
            return False
    return True


ContentsOf = Mapping[tuple[PackageFile, tuple[str, ...]], "PackageContents"]


def _read_packages(
    plans: Sequence[BuildPlan], debs: Mapping[PackageFile, Blob], how: Build
) -> ContentsOf:
    """Every package that the plans need, read once for all platforms that share it."""
    from homeport.assemble.tree_assembly import globs_of  # 20 ms that a build without changes saves

    wanted = {
        (package.file, globs_of(package, plan).globs): (package, plan)
        for plan in plans
        for package in plan.packages
    }
    how.runtime.progress.begin("unpack", label="read packages", total=len(wanted), unit="items")
    # Large packages first: the last one running is then a small one.
    keys = sorted(wanted, key=lambda key: -key[0].size)
    results = run_all(
        how.runtime.pools.processor,
        [partial(_read_package, *wanted[key], debs[key[0]], how) for key in keys],
    )
    how.runtime.progress.end("unpack")
    return dict(zip(keys, results, strict=True))


def _read_package(
    package: PlannedPackage, plan: BuildPlan, deb: Blob, how: Build
) -> PackageContents:
    # 15 ms that a build without changes saves.
    from homeport.assemble.tree_assembly import globs_of, missing_contents
    from homeport.debian.deb.contents import read_contents
    from homeport.debian.deb.path_globs import PathGlobs

    globs = globs_of(package, plan)

    def read(wanted: PathGlobs) -> PackageContents:
        return read_contents(
            deb, wanted, how.derived, expected=package.file.id, cancel=how.runtime.cancel
        )

    try:
        found = read(globs)
    except IntegrityError as error:
        # Kept, it would fail every run: its size is right, so no run would fetch it again.
        how.runtime.store.drop(deb.digest)
        error.hint = error.hint or "it was removed from the cache; run the same command again"
        raise
    if more := missing_contents(package, plan, found):
        paths = (f"/{path.decode('utf-8', 'surrogateescape')}" for path in more)
        found = read(PathGlobs.of((*globs.globs, *paths)))
    how.runtime.progress.advance("unpack", 1)
    return found


def _make_layers(plan: BuildPlan, contents: ContentsOf, how: Build) -> tuple[FinishedLayers, float]:
    # 25 ms that a build without changes saves.
    from homeport.assemble.bill import make_bill
    from homeport.assemble.layering import split_tree
    from homeport.tree.estargz import write_estargz
    from homeport.tree.layer_writer import write_layer

    began = time.monotonic()
    name = f"layer {plan.platform}"
    cancel = how.runtime.cancel
    how.runtime.progress.begin(name, label=str(plan.platform), unit="bytes")
    assembled, own = _assembled(plan, contents, how)
    write = write_estargz if plan.encoder.name == "estargz" else write_layer
    layers = tuple(
        write(
            tree,
            plan.encoder,
            how.derived,
            cancel,
            partial(how.runtime.progress.advance, name),
        )
        for tree in split_tree(assembled.tree, plan)
    )
    bill = make_bill(plan, own, assembled.tree, how.derived, cancel)
    found = FinishedLayers(
        layers=layers,
        bill=how.derived.put_bytes(msgspec.json.encode(bill)),
        accounts=assembled.accounts,
        warnings=assembled.warnings,
        declared=assembled.declared,
    )
    store_layers(plan, found, how.derived)
    how.runtime.progress.end(name)
    return found, time.monotonic() - began
