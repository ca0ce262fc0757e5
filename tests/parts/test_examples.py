"""The examples with parts stand as they were locked: seen without an engine or a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.locking.staleness import stale_reasons
from homeport.parts.resolve import part_stale_reasons
from homeport.progress import CancelToken
from homeport.recipe.checking import check_recipe
from homeport.recipe.lock.reading import read_lockfile

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    "name", sorted(path.parent.name for path in EXAMPLES.glob("*/homeport.yaml"))
)
def test_an_example_is_good_and_its_lockfile_answers_it(name: str) -> None:
    recipe = check_recipe(str(EXAMPLES / name))
    lockfile = read_lockfile(EXAMPLES / name / recipe.lock_name)
    assert lockfile is not None
    assert stale_reasons(recipe, lockfile) == ()
    assert part_stale_reasons(recipe, lockfile, CancelToken()) == ()
    for part in lockfile.parts.values():
        assert set(part.outputs) == set(recipe.platforms)
