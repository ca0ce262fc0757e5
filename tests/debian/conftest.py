"""Machines of users, and a place for the test's archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.opening import World, new_world


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Machines by name; the same name means the same cache. ``settings`` are the client's."""
    made: list[World] = []

    def make(name: str, **settings: Any) -> World:
        made.append(new_world(tmp_path / f"cache-{name}", **settings))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world("one")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the test's archive lies."""
    return tmp_path / "mirror"
