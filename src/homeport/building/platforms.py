"""The platforms that a build is for."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.building.request import BuildRequest
from homeport.errors import UsageError
from homeport.images.address import Address
from homeport.images.tagging import is_docker_archive
from homeport.oci.platform import Platform, native_platform, parse_platform
from homeport.recipe.model import Recipe


def choose_platforms(
    request: BuildRequest, recipe: Recipe, outputs: tuple[Address, ...]
) -> tuple[Platform, ...]:
    """The platforms to build, in the recipe's order."""
    native = native_platform()
    if not request.platforms:
        if outputs and not all(map(is_docker_archive, outputs)):
            return recipe.platforms
        return _known(recipe, (native,))
    wanted: list[Platform] = []
    for text in request.platforms:
        if text == "all":
            wanted += recipe.platforms
        else:
            wanted.append(native if text == "native" else parse_platform(text))
    found = _known(recipe, wanted)
    if len(found) > 1 and outputs and all(map(is_docker_archive, outputs)):
        raise UsageError(
            f"a docker archive holds one platform, but --platform names {len(found)}",
            hint="write one archive for each, or oci-archive:FILE",
        )
    return found


def _known(recipe: Recipe, wanted: Sequence[Platform]) -> tuple[Platform, ...]:
    for platform in wanted:
        if platform not in recipe.platforms:
            raise UsageError(
                f"the recipe {recipe.name} has no platform {platform}",
                where=recipe.place.where(),
                hint=f"it is built for {', '.join(map(str, recipe.platforms))}",
            )
    return tuple(platform for platform in recipe.platforms if platform in wanted)
