"""Reading the text files that a recipe consists of, bounded, and the error for their faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from homeport.content.blob import open_regular
from homeport.content.reading import read_bounded
from homeport.recipe.boundary import OutsideRecipe
from homeport.yamlfile.parse import LARGEST, BadYaml


class BadRecipe(BadYaml):
    """A recipe or slice file is unusable; file, line, column and field are in ``where``."""

    id = "recipe"


def read_text_file(path: Path, read: Callable[[Path, int], bytes] | None = None) -> bytes:
    """A file of a recipe, bounded. Raises ``BadRecipe`` if reading fails.

    read: reads a path that a recipe names (``Boundary.read``); by default any path is read
    """
    try:
        return (read or _read)(path, LARGEST)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadRecipe(f"cannot read {path}: {reason}", where={"file": str(path)}) from error
    except OutsideRecipe as error:
        raise error.at(file=str(path)) from None


def _read(path: Path, limit: int) -> bytes:
    with open_regular(path) as stream:
        return read_bounded(stream, limit, str(path))
