"""Reading the text files that a recipe consists of, bounded, and the error for their faults."""

from __future__ import annotations

from pathlib import Path

from homeport.content.reading import read_bounded
from homeport.yamlfile.parse import LARGEST, BadYaml


class BadRecipe(BadYaml):
    """A recipe or slice file is not usable; file, line, column and field are in ``where``."""

    id = "recipe"


def read_text_file(path: Path) -> bytes:
    """A file of a recipe, bounded. Raises ``BadRecipe`` if reading fails."""
    try:
        with path.open("rb") as stream:
            return read_bounded(stream, LARGEST, str(path))
    except OSError as error:
        raise BadRecipe(
            f"cannot read {path}: {error.strerror}", where={"file": str(path)}
        ) from error
