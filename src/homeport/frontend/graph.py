"""One image as a graph: packages by HTTP with their hashes, and one step of our own image.

The step is this program again (``homeport.frontend.assemble``): it sees the packages and the
recipe's folder, has no network, and leaves the image's files in ``/out`` and what is said about
the image in ``/about``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.buildkit.llb.files import copy
from homeport.buildkit.llb.mounts import bind
from homeport.buildkit.llb.sources import http, scratch
from homeport.buildkit.llb.state import State
from homeport.debian.archive.mirror_list import MirrorSources, mirror_addresses
from homeport.debian.package import PackageFile
from homeport.frontend.bridge import graph_of
from homeport.frontend.options import Options
from homeport.frontend.recipe_folder import recipe_source
from homeport.oci.platform import Platform
from homeport.recipe.lock.model import Lockfile, files_of
from homeport.recipe.model import Recipe

#: BuildKit's definition of the frontend's image, pinned by digest.
OWN_IMAGE = Path("/run/config/buildkit/metadata/frontend.bin")
#: The first argument of the step; the frontend itself is started without any.
ASSEMBLE = "frontend-assemble"
PROGRAM = "/usr/bin/homeport"
RECIPE, PACKAGES, OUT, ABOUT = "/recipe", "/packages", "/out", "/about"
#: Below ``/about``.
CONFIG_FILE, SBOM_FILE = "config.json", "sbom.spdx.json"


class Assembled(msgspec.Struct, frozen=True, kw_only=True):
    """The image's files, and the documents about it."""

    root: State
    about: State


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What the step is told, as its second argument."""

    filename: str
    platform: str
    labels: Mapping[str, str]
    epoch: int | None
    sbom: bool


def assemble_graph(
    recipe: Recipe, lockfile: Lockfile, platform: Platform, options: Options, own: bytes
) -> Assembled:
    """The graph of one platform. ``own``: the content of ``OWN_IMAGE``."""
    step = Step(
        filename=options.filename,
        platform=str(platform),
        labels=dict(sorted(options.labels.items())),
        epoch=options.epoch,
        sbom=options.sbom,
    )
    ran = graph_of(own).run(
        [PROGRAM, ASSEMBLE, msgspec.json.encode(step).decode()],
        env={"PATH": "/usr/bin", "LANG": "C.UTF-8", "CRYPTOGRAPHY_OPENSSL_NO_LEGACY": "1"},
        user="0:0",
        network="none",
        mounts=[
            bind(recipe_source(recipe, options), RECIPE),
            bind(_packages(recipe, lockfile, platform, options), PACKAGES),
            bind(scratch(), OUT, readonly=False),
            bind(scratch(), ABOUT, readonly=False),
        ],
        name=f"assemble {recipe.name} for {platform}",
    )  # fmt: skip
    return Assembled(root=ran.mount(OUT), about=ran.mount(ABOUT))


def _packages(recipe: Recipe, lockfile: Lockfile, platform: Platform, options: Options) -> State:
    """One folder with every package under the hash that the lockfile says."""
    files = sorted(files_of(lockfile, (platform,)), key=lambda file: str(file.sha256))
    mirrors = _mirrors(recipe, files, options)
    actions = []
    for file in files:
        name = file.sha256.hex
        source = http(f"{mirrors[file.archive]}/{file.path}", checksum=str(file.sha256),
                      filename=name)  # fmt: skip
        actions.append(copy(source.named(f"fetch {file.id}"), f"/{name}", f"/{name}"))
    if not actions:
        return scratch()
    return scratch().file(*actions, name=f"packages of {recipe.name} for {platform}")


def _mirrors(recipe: Recipe, files: Sequence[PackageFile], options: Options) -> dict[str, str]:
    """Archive → its first mirror; a source policy of the engine can send it elsewhere."""
    sources = MirrorSources(
        option=options.mirrors,
        environment=os.environ,
        recipe={each.name: each.mirrors for each in recipe.archives if each.mirrors},
    )
    return {
        name: mirror_addresses(name, sources)[0].text.rstrip("/")
        for name in sorted({file.archive for file in files})
    }
