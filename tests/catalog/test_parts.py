"""Recipes of the catalog with parts: what ships beside their lockfiles is whole and theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.assemble.part_outputs import decode_tree
from homeport.content.store import Store
from homeport.parts.kept import kept_folder, restore_kept
from homeport.parts.resolve import part_stale_reasons
from homeport.progress import CancelToken
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.catalog_listing import catalog_recipes
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.model import Recipe
from homeport.tree.node import Source

WITH_PARTS = [recipe for recipe in catalog_recipes() if recipe.parts]
SHIPPED = [recipe for recipe in WITH_PARTS if not recipe.name.startswith("dockerfile")]


@pytest.mark.parametrize("recipe", WITH_PARTS, ids=lambda recipe: recipe.name)
def test_every_result_of_a_part_is_pinned(recipe: Recipe) -> None:
    lockfile = read_lockfile(recipe.path.parent / recipe.lock_name)
    assert lockfile is not None
    assert part_stale_reasons(recipe, lockfile, CancelToken()) == ()
    for part in lockfile.parts.values():
        assert set(part.outputs) == set(recipe.platforms)


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda recipe: recipe.name)
def test_every_result_of_a_part_is_beside_the_lockfile(recipe: Recipe, tmp_path: Path) -> None:
    path = recipe.path.parent / recipe.lock_name
    lockfile = read_lockfile(path)
    assert lockfile is not None
    for part in lockfile.parts.values():
        for output in part.outputs.values():
            store = Store(tmp_path / output.digest.hex)
            restore_kept(output, [kept_folder(path)], store)
            listed = store.get(output.digest, output.size)
            assert listed is not None
            with listed.open() as stream:
                assert (
                    decode_tree(stream.read(), store, Source(kind="part", name=recipe.name))
                    is not None
                )


def test_the_page_of_a_recipe_whose_results_do_not_ship_says_that_an_engine_is_needed() -> None:
    others = [recipe for recipe in WITH_PARTS if recipe not in SHIPPED]
    assert [recipe.name for recipe in others] == ["dockerfile", "dockerfile-1.7"]
    for recipe in others:
        page = Path(__file__).parents[2] / f"docs/catalog/{recipe.name}.md"
        assert "needs a BuildKit engine" in page.read_text()


def test_what_ships_besides_recipes_stays_small() -> None:
    kept = shipped_catalog().directory.glob("*/*.lock.parts/*")
    assert sum(path.stat().st_size for path in kept) < 2_000_000
