"""The pages about formats say what the program does: every field, and examples that work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.schema.fields import RECIPE
from homeport.recipe.slices.reading import SLICE_FILE, read_slice_file
from homeport.yamlfile.scalars import Shape
from homeport.yamlfile.shapes import Fields, Kinds, ListOf, MapOf, Short

_PAGES = Path(__file__).parents[2] / "docs" / "formats"


def _names(shape: Shape) -> Iterator[str]:
    """The name of every field below ``shape``."""
    match shape:
        case Fields():
            for name, field in shape.fields.items():
                yield name
                yield from _names(field.shape)
        case Short():
            yield from _names(shape.fields)
        case Kinds():
            for fields in shape.kinds.values():
                yield from _names(fields)
        case ListOf():
            yield from _names(shape.item)
        case MapOf():
            yield from _names(shape.value)


def _examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (_PAGES / page).read_text(), re.DOTALL)


@pytest.mark.parametrize(("page", "shape"), [("recipe.md", RECIPE), ("slices.md", SLICE_FILE)])
def test_every_field_is_described(page: str, shape: Fields) -> None:
    text = (_PAGES / page).read_text()
    assert [name for name in sorted(set(_names(shape))) if f"`{name}" not in text] == []


_RECIPES = [*_examples("recipe.md"), *_examples("../buildkit.md")]


@pytest.mark.parametrize("number", range(len(_RECIPES)))
def test_every_example_of_a_recipe_has_no_fault(tmp_path: Path, number: int) -> None:
    path = tmp_path / "homeport.yaml"
    path.write_text(_RECIPES[number])
    assert load_recipe(path, shipped_catalog()).platforms


def test_the_example_of_slices_has_no_fault(tmp_path: Path) -> None:
    (example,) = _examples("slices.md")
    found, faults = read_slice_file(example.encode(), tmp_path / "libexpat1.yaml")
    assert faults == []
    assert list(found) == ["libs"]
