"""Every recipe of the catalog says what its image must do; tests/peers runs what it says."""

from __future__ import annotations

import pytest

from homeport.recipe.catalog_listing import catalog_recipes
from homeport.recipe.model import Recipe


@pytest.mark.parametrize("recipe", catalog_recipes(), ids=lambda recipe: recipe.name)
def test_a_recipe_has_tests_of_its_own(recipe: Recipe) -> None:
    own = [test for test in recipe.tests if test.place.file == str(recipe.path)]
    assert own
    assert any(test.kind == "run" for test in recipe.tests) or recipe.name == "static"
    # On every platform something is looked at.
    for platform in recipe.platforms:
        assert any(test.applies_to(platform) for test in own)
