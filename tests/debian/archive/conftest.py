"""Machines of users, and a place for the test's archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.opening import World, new_world


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    """Several machines, each with a cache of its own."""
    made: list[World] = []

    def make(name: str) -> World:
        made.append(new_world(tmp_path / f"cache-{name}"))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[[str], World]) -> World:
    return make_world("one")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the test's archive lies."""
    return tmp_path / "mirror"
