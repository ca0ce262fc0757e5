"""Local files that a recipe names and that are missing, reported before anything is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from homeport.errors import Faults, HomeportError
from homeport.oci.platform import Platform
from homeport.recipe.boundary import Boundary, OutsideRecipe
from homeport.recipe.entries import LocalFiles
from homeport.recipe.model import Recipe
from homeport.recipe.parts import DockerfilePart, RunPart
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.position import FilePosition


def missing_files(
    recipe: Recipe, platforms: Sequence[Platform] | None = None
) -> Iterator[HomeportError]:
    """A fault for each file and each context of a Dockerfile.

    platforms: whose files are wanted; absent: all
    """
    inputs = [each for part in recipe.parts if isinstance(part, RunPart) for each in part.inputs]
    for files in (*recipe.files, *inputs):
        if isinstance(files, LocalFiles) and (
            platforms is None or any(map(files.applies_to, platforms))
        ):
            yield from _missing(files.source, "file", files.boundary, files.place)
    for part in recipe.parts:
        if isinstance(part, DockerfilePart):
            yield from _missing(part.context, "directory", part.boundary, part.place)


def check_files(recipe: Recipe, platforms: Sequence[Platform]) -> None:
    """Raises ``Faults`` with every file that these platforms need and that is missing."""
    if faults := list(missing_files(recipe, platforms)):
        raise Faults(faults, what=f"files of the recipe {recipe.path} are missing")


def _missing(
    path: Path, kind: str, boundary: Boundary, place: FilePosition
) -> Iterator[HomeportError]:
    try:
        found = boundary.real(path)
    except OutsideRecipe as error:
        yield error.at(**place.where())
    except OSError:
        yield BadRecipe(f"missing {kind} {path}", where=place.where())
    else:
        if kind == "directory" and not found.is_dir():
            yield BadRecipe(f"missing {kind} {path}", where=place.where())
