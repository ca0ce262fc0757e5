"""The archives of a recipe, opened to look packages up, without selecting any."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence

import msgspec

from homeport.debian.archive.archive import open_archives
from homeport.debian.archive.state import ArchiveState
from homeport.errors import Faults, HomeportError
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.oci.platform import Platform
from homeport.recipe.boundary import Boundary
from homeport.recipe.catalog import current_catalog, find_recipe
from homeport.recipe.entries import PackageChoice
from homeport.recipe.loading import load_recipe
from homeport.recipe.model import Recipe
from homeport.recipe.platforms import debian_architecture
from homeport.recipe.schema.defaults import FILE_NAME, archives
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.position import FilePosition

#: How a recipe's archives are reached.
OpenArchives = Callable[[Recipe], ArchiveAccess]


class OpenedArchives(msgspec.Struct, frozen=True, kw_only=True):
    """One state of the archives of a recipe."""

    recipe: Recipe
    state: ArchiveState
    access: ArchiveAccess


def recipe_or_default(wanted: str, platform: Platform) -> Recipe:
    """The recipe whose archives and slices count.

    wanted: empty: ./homeport.yaml, if it is there; otherwise Debian as a recipe has it that
            names no archives
    """
    catalog = current_catalog()
    if not wanted:
        try:
            wanted = str(find_recipe(f"./{FILE_NAME}", catalog))
        except HomeportError:
            place = FilePosition(file="(default)", line=1)
            return Recipe(
                name="debian",
                path=catalog.directory,
                platforms=(platform,),
                archives=archives(),
                slices=catalog.slice_folders,
                boundary=Boundary((catalog.package or catalog.directory, *catalog.slice_folders)),
                place=place,
            )
    recipe = load_recipe(find_recipe(wanted, catalog), catalog)
    return msgspec.structs.replace(recipe, platforms=(platform,))


def open_state(recipe: Recipe, archives: OpenArchives, command: str) -> OpenedArchives:
    """The newest state that is whole for all platforms of the recipe."""
    access = archives(recipe)
    state = open_archives(
        suite_specs(recipe),
        list(dict.fromkeys(map(debian_architecture, recipe.platforms))),
        mirrors=access.mirrors,
        runtime=access.runtime,
        offline=access.offline,
        clock=access.clock,
        command=command,
    )
    return OpenedArchives(recipe=recipe, state=state, access=access)


def check_known(recipe: Recipe, choices: Sequence[PackageChoice], archives: OpenArchives) -> None:
    """Raise ``Faults`` for packages that an architecture of the recipe does not have."""
    state = open_state(recipe, archives, "homeport add").state
    faults = [fault for choice in choices for fault in _unknown(recipe, choice, state)]
    if faults:
        raise Faults(faults, what="unknown packages; nothing was written")


def _unknown(recipe: Recipe, choice: PackageChoice, state: ArchiveState) -> Iterable[HomeportError]:
    wanted = [platform for platform in recipe.platforms if choice.applies_to(platform)]
    without = []
    near: tuple[str, ...] = ()
    for platform in wanted:
        index = state.indexes[debian_architecture(platform)]
        if not index.named(choice.name) and not index.providers(choice.name):
            without.append(str(platform))
            near = near or index.near_names(choice.name)
    if not without:
        return
    on = "" if len(without) == len(wanted) else f" on {', '.join(without)}"
    if on:
        hint = f"name it below per_platform, for {', '.join(_others(wanted, without))}"
    else:
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"homeport search {shlex.quote(choice.name)}"
        )
    yield BadRecipe(
        f"the archives have no package {choice.name}{on}", where=choice.place.where(), hint=hint
    )


def _others(wanted: Sequence[Platform], without: Sequence[str]) -> list[str]:
    return [str(platform) for platform in wanted if str(platform) not in without]
