"""Where the images of a build go: destinations with their tags, and what each of them holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from homeport.assemble.build import BuiltIndex
from homeport.building.request import BuildRequest
from homeport.errors import UsageError
from homeport.images.address import Address, ArchiveAddress, LayoutAddress
from homeport.images.image import Image, Index
from homeport.oci.reference import DEFAULT_TAG, parse_reference
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime

if TYPE_CHECKING:
    from homeport.images.load import Loaded

#: A tag as the distribution specification has it.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def choose_outputs(request: BuildRequest, recipe: Recipe) -> tuple[Address, ...]:
    """Every destination, with its tag."""
    outputs = request.outputs
    if not outputs and not request.load:
        outputs = (LayoutAddress(path=Path(f"{recipe.name}.oci")),)
    _check_tags(request, outputs)
    tags = request.tags or (DEFAULT_TAG,)
    return tuple(tagged for output in outputs for tagged in _tagged(output, recipe, tags))


def _check_tags(request: BuildRequest, outputs: Sequence[Address]) -> None:
    """Raise ``UsageError`` for a ``--tag`` that would have no effect."""
    without = [each for each in outputs if isinstance(each, LayoutAddress | ArchiveAddress)
               and each.tag == ""]  # fmt: skip
    named = request.load or any(map(is_docker_archive, without))
    for tag in request.tags:
        if not without and not request.load:
            raise UsageError(
                f"--tag {tag}: every output has a tag of its own",
                hint=f"add an output without one, such as -o oci:DIR, or leave out --tag {tag}",
            )
        if "/" in tag and not named:
            raise UsageError(
                f"--tag {tag}: layouts and archives of OCI keep a tag, not a name",
                hint=f"--push {tag}, --load, or --tag {tag.rpartition(':')[2]}",
            )


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


def is_docker_archive(output: Address) -> bool:
    return isinstance(output, ArchiveAddress) and output.format == "docker-archive"


def _tagged(output: Address, recipe: Recipe, tags: tuple[str, ...]) -> Sequence[Address]:
    match output:
        case LayoutAddress(tag=""):
            return [msgspec.structs.replace(output, tag=_short_tag(tag)) for tag in tags]
        case ArchiveAddress(tag=""):
            if len(tags) > 1:
                raise UsageError(
                    f"{output} holds one image under one name, but there are {len(tags)} tags",
                    hint=f"write {output}:TAG, or use oci:DIR",
                )
            docker = output.format == "docker-archive"
            return [
                msgspec.structs.replace(
                    output, tag=_full_name(recipe, tags[0]) if docker else _short_tag(tags[0])
                )
            ]
        case _:
            return [output]


def _short_tag(tag: str) -> str:
    """The part of ``NAME:TAG`` that is a tag."""
    short = tag.rpartition(":")[2]
    if not _TAG.fullmatch(short):
        raise UsageError(
            f"invalid tag {tag!r}",
            hint="use up to 128 letters, digits, _ . and -; the first is not . or -",
        )
    return short


def _full_name(recipe: Recipe, tag: str) -> str:
    """A name for engines: as given, or the recipe's with this tag."""
    name = tag if ":" in tag else f"{recipe.name}:{tag}"
    return str(parse_reference(name))


def _native_image(value: Image | Index) -> Image:
    # 30 ms that other builds save
    from homeport.images.transports.docker_archive import one_platform

    return one_platform(value)
