"""Where the images of a build go: destinations with their tags, and what each of them holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.assemble.build import BuiltIndex
from homeport.building.request import BuildRequest
from homeport.images.address import Address, LayoutAddress
from homeport.images.image import Image, Index
from homeport.images.tagging import check_tags, is_docker_archive, tagged
from homeport.oci.reference import DEFAULT_TAG, parse_reference
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

if TYPE_CHECKING:
    from homeport.images.load import Loaded


def choose_outputs(request: BuildRequest, recipe: Recipe) -> tuple[Address, ...]:
    """Every destination, with its tag."""
    outputs = request.outputs
    if not outputs and not request.load:
        outputs = (LayoutAddress(path=Path(f"{recipe.name}.oci")),)
    check_tags(outputs, request.tags, used_otherwise=request.load)
    tags = request.tags or (DEFAULT_TAG,)
    name_of = partial(_full_name, recipe)
    return tuple(one for output in outputs for one in tagged(output, tags, name_of))


def fitting_image(value: Image | Index, output: Address, built: BuiltIndex) -> Image | Index:
    """What goes to ``output``: everything, or the native image where only one fits.

    Readers of layouts and registries expect an index however many platforms there are.
    """
    if is_docker_archive(output):
        return _native_image(value)
    return built.index


def load_image(
    request: BuildRequest, recipe: Recipe, value: Image | Index, runtime: Runtime
) -> Loaded:
    # 100 ms that other builds save
    from homeport.images.load import load

    name = _full_name(recipe, (request.tags or (DEFAULT_TAG,))[0])
    return load(_native_image(value), parse_reference(name), runtime)


def _full_name(recipe: Recipe, tag: str) -> str:
    """A name for engines: as given, or the recipe's with this tag."""
    name = tag if ":" in tag else f"{recipe.name}:{tag}"
    return str(parse_reference(name))


def _native_image(value: Image | Index) -> Image:
    # 30 ms that other builds save
    from homeport.images.transports.docker_archive import one_platform

    return one_platform(value)
