"""``homeport build`` of several recipes: where each goes, one after the other, what failed.

One process reads what they share once: keys, slices, states of archives, and our own modules.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from homeport.building.request import NAME, BuildRequest, BuildResult
from homeport.errors import HomeportError, UsageError
from homeport.freshness.recipe_graph import in_order
from homeport.freshness.subjects import load_recipes
from homeport.images.address import (
    Address,
    ArchiveAddress,
    LayoutAddress,
    RegistryAddress,
    parse_destination,
)
from homeport.oci.reference import DEFAULT_TAG
from homeport.publishing.several import check_names, each_in_turn
from homeport.recipe.model import Recipe


class BuildsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to build, and how.

    recipes: names of the catalog, recipe files, folders with one, or with many below them
    outputs: addresses with ``{name}`` for the recipe's name; empty: ``./NAME.oci``
    each:    all that holds for every build
    """

    recipes: tuple[str, ...]
    outputs: tuple[str, ...]
    each: BuildRequest


class RecipeBuilt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recipe: a result or an error. recipe: its name, or a file not read"""

    recipe: str
    result: BuildResult | None = None
    error: HomeportError | None = None


class BuildsAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What building several does with other parts; ``homeport.app`` makes it.

    tell:  say what is built now
    check: may raise to stop early
    """

    build: Callable[[BuildRequest, Recipe], BuildResult]
    tell: Callable[[str], None]
    check: Callable[[], None]


def run_builds(request: BuildsRequest, access: BuildsAccess) -> tuple[RecipeBuilt, ...]:
    """Build each recipe, what others take files of first; of several, one that fails does not stop
    the others. Of one alone the error is raised, and those of the command itself always.
    """
    found, unread = load_recipes(request.recipes, request.each.allow_outside)
    if unread and not found:
        raise unread[0][1]
    recipes = [found[at] for at in in_order(found)]
    many = len(recipes) + len(unread)
    if many > 1:
        _check_shared(request, many)
        check_names(recipes, "written to one place")
    outputs = {each.path: _outputs(request.outputs, each) for each in recipes}

    def build(recipe: Recipe) -> RecipeBuilt:
        if many > 1:
            access.tell(f"{recipe.name}: {recipes.index(recipe) + 1} of {many}")
        own = msgspec.structs.replace(
            request.each, recipe=str(recipe.path), outputs=outputs[recipe.path]
        )
        return RecipeBuilt(recipe=recipe.name, result=access.build(own, recipe))

    done = each_in_turn(
        recipes,
        build,
        lambda each, error: RecipeBuilt(recipe=each.name, error=error),
        registries=lambda each: [
            output.reference.registry
            for output in outputs[each.path] if isinstance(output, RegistryAddress)
        ],
        check=access.check,
        alone=many == 1,
    )  # fmt: skip
    return (*done, *(RecipeBuilt(recipe=name, error=error) for name, error in unread))


def with_name(text: str, name: str) -> Address:
    """The destination that ``text`` is for a recipe called ``name``. Raises ``UsageError``."""
    return parse_destination(text.replace(NAME, name))


def _outputs(texts: tuple[str, ...], recipe: Recipe) -> tuple[Address, ...]:
    return tuple(with_name(text, recipe.name) for text in texts)


def _check_shared(request: BuildsRequest, many: int) -> None:
    if request.each.lockfile is not None:
        raise UsageError("--lockfile is for one recipe", hint="leave it out, or name one recipe")
    for text in request.outputs:
        if NAME not in text:
            raise UsageError(
                f"{text}: {many} recipes would be written to one place",
                hint=f"write {_apart(parse_destination(text), tagged=text)}",
            )


def _apart(output: Address, *, tagged: str) -> str:
    """``output`` with a place for the recipe's name; the tag ``latest`` if ``tagged`` has it."""
    match output:
        case RegistryAddress(reference=reference):
            tag = reference.tag
            if tag == DEFAULT_TAG and not tagged.endswith(f":{tag}"):
                tag = ""
            repository = f"{reference.repository}/{NAME}"
            named = msgspec.structs.replace(reference, repository=repository, tag=tag)
            return f"docker://{named}"
        case LayoutAddress(path=path):
            return str(msgspec.structs.replace(output, path=path / NAME))
        case ArchiveAddress(path=path):
            beside = path.parent if path is not None else Path()
            return str(msgspec.structs.replace(output, path=beside / f"{NAME}.tar"))
        case _:
            return f"oci:{NAME}.oci"
