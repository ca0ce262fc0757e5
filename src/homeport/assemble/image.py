"""A layer becomes an image: its config and its manifest, decided by the plan alone.

What Homeport adds by itself stands in labels named ``dev.homeport.*``
(docs/formats/image.md), because labels survive every way that an image travels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from homeport.assemble.plan import BuildPlan
from homeport.assemble.system.knowledge import environment_of
from homeport.content.blob import BytesBlob
from homeport.images.image import Child, Image, Index, child_of, new_index
from homeport.oci import media_types
from homeport.oci.documents import (
    Descriptor,
    History,
    ImageConfig,
    Manifest,
    RootFs,
    RunConfig,
    written,
)
from homeport.tree.layer_writer import WrittenLayer

CREATED = "org.opencontainers.image.created"
RECIPE = "dev.homeport.recipe"
LOCKFILE = "dev.homeport.lockfile"
WITHOUT = "dev.homeport.without"
PARTS = "dev.homeport.parts"
MATERIALS = "dev.homeport.materials"
EPOCH = "dev.homeport.source-date-epoch"

_LAYER_TYPES = {
    "gzip": media_types.OCI_LAYER_GZIP,
    "zstd": media_types.OCI_LAYER_ZSTD,
    "none": media_types.OCI_LAYER,
}


def make_image(plan: BuildPlan, layers: Sequence[WrittenLayer]) -> Image:
    """The image of one platform, with its layers, lowest first."""
    config = written(_config(plan, layers), media_types.OCI_CONFIG)
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=config.descriptor(),
        layers=tuple(
            Descriptor(
                media_type=_LAYER_TYPES[layer.compression],
                digest=str(layer.digest),
                size=layer.size,
                annotations=dict(layer.annotations),
            )
            for layer in layers
        ),
        annotations=annotations_of(plan),
    )
    return Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs={config.digest: BytesBlob(config.raw), **{one.digest: one.blob for one in layers}},
        platform=plan.platform,
    )


def make_index(
    images: list[Image], plans: tuple[BuildPlan, ...], attestations: Sequence[Child] = ()
) -> Index:
    """The index over the images of all plans, in their order, then what attests them."""
    common = annotations_of(plans[0])
    shared = {
        key: value
        for key, value in common.items()
        if all(annotations_of(plan).get(key) == value for plan in plans)
    }
    return new_index([*map(child_of, images), *attestations], annotations=shared)


def annotations_of(plan: BuildPlan) -> dict[str, str]:
    """The recipe's and the command line's annotations, and when the image was made."""
    return dict(sorted({CREATED: _created(plan), **plan.config.annotations}.items()))


def _config(plan: BuildPlan, layers: Sequence[WrittenLayer]) -> ImageConfig:
    config = plan.config
    return ImageConfig(
        created=_created(plan),
        architecture=plan.platform.architecture,
        os=plan.platform.os,
        variant=plan.platform.variant,
        config=RunConfig(
            user=config.user,
            exposed_ports={port: {} for port in sorted(config.exposed_ports)},
            env=tuple(f"{name}={value}" for name, value in _environment(plan).items()),
            entrypoint=config.entrypoint or None,
            cmd=config.cmd or None,
            volumes={path: {} for path in sorted(config.volumes)},
            working_dir=config.workdir,
            labels=_labels(plan),
            stop_signal=config.stop_signal,
        ),
        rootfs=RootFs(diff_ids=tuple(str(layer.diff_id) for layer in layers)),
        history=(History(created=_created(plan), created_by=f"homeport build {plan.name}"),)
        * len(layers),
    )


def _environment(plan: BuildPlan) -> Mapping[str, str]:
    """The recipe's variables, after those that the program's own package starts it with."""
    config = plan.config
    whole = {each.name: each.file.id.version for each in plan.packages if each.whole}
    if not config.entrypoint or not whole:
        return config.env
    return {**environment_of(config.entrypoint[0], whole), **config.env}


def _labels(plan: BuildPlan) -> dict[str, str]:
    own = {RECIPE: str(plan.recipe_digest), LOCKFILE: str(plan.lockfile_digest)}
    if plan.without:
        own[WITHOUT] = " ".join(plan.without)
    if plan.results:
        own[PARTS] = " ".join(plan.results)
    if plan.materials:
        own[MATERIALS] = " ".join(plan.materials)
    if plan.epoch_override:
        own[EPOCH] = str(plan.epoch)
    return dict(sorted({**plan.config.labels, **own}.items()))


def _created(plan: BuildPlan) -> str:
    """The epoch as RFC 3339, section 5.6."""
    return datetime.fromtimestamp(plan.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
