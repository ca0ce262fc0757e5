"""Many recipes in one run: what they share is opened and read once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.freshness import FreshWorld, package
from builders.updating import UpdateWorld, lib
from homeport.debian.archive.archive import open_archives
from homeport.debian.archive.state import ArchiveState

ROOT = Path(__file__).parents[2]


def _three(world: FreshWorld) -> None:
    for name, wanted in (("one", "lib1"), ("two", "lib1, lib2"), ("three", "lib2")):
        world.lock_recipe(f"name: {name}\npackages: [{wanted}]")
        (world.home / "homeport.yaml").rename(world.home / f"{name}.yaml")


def test_a_tree_is_updated_over_one_state_that_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1"), lib("lib2", "1-1")]})
    _three(world)
    world.move("trixie", [lib("lib1", "1-2"), lib("lib2", "1-2")])
    opened: list[object] = []

    def counted(*arguments: Any, **more: Any) -> ArchiveState:
        opened.append(arguments)
        return open_archives(*arguments, **more)

    monkeypatch.setattr("homeport.locking.lock.open_archives", counted)
    result = world.update(str(world.home), dry_run=True)
    assert {one.name: one.lines for one in result.recipes} == {
        "one": ("lib1 1-1 → 1-2",),
        "two": ("lib1 1-1 → 1-2", "lib2 1-1 → 1-2"),
        "three": ("lib2 1-1 → 1-2",),
    }
    assert len(opened) == 1


def test_a_recipe_whose_keys_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1"), package("lib2", "1-1")]})
    _three(world)
    path = world.home / "two.yaml"
    path.write_text(path.read_text().replace("key.asc", "lost.asc"))
    world.move("trixie", [package("lib1", "1-2"), package("lib2", "1-2")])
    report = world.outdated(str(world.home))
    found = {s.name: len(s.changes) for s in report.subjects}
    assert found == {"one": 1, "two": 0, "three": 1}
    (broken,) = (s for s in report.subjects if s.name == "two")
    assert "lost.asc" in broken.unknown[0].why


def test_the_benchmark_of_a_fleet_runs_and_finds_what_moved() -> None:
    done = subprocess.run(
        [sys.executable, "-P", ROOT / "benchmarks" / "fleet.py", "--sizes", "3,6"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "6 would be updated" in done.stdout
    assert "22 changes" in done.stdout
