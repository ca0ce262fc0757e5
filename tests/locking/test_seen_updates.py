"""What a build says of its lockfile's age by the cache alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from builders.archive import DATE, suite
from builders.freshness import LATER, FreshWorld, package
from homeport.content.store import Store

SAID = "its packages are of 2026-01-10, "
MORE = " (homeport outdated lists newer packages)"


def world_of(tmp_path: Path, text: str = "packages: [lib1, lib2]") -> FreshWorld:
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1"), package("lib2", "1-1")]})
    world.lock_recipe(text)
    return world


def line(world: FreshWorld) -> str:
    """What the build says of the lockfile's age."""
    world.notes.lines.clear()
    world.build(world.home / "homeport.yaml")
    (said,) = [text for text in world.notes.lines if SAID in text]
    return said.partition(SAID)[2]


def test_after_locking_nothing_newer_is_known(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    assert line(world) == "less than a day old; last checked 2026-01-10: no newer packages known"


def test_newer_packages_that_were_seen_are_counted_without_asking_a_mirror(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    world.move("trixie", [package("lib1", "1-2"), package("lib2", "1-1")])
    before = line(world)
    assert before == "2 days old; last checked 2026-01-10: no newer packages known"
    world.outdated(changelogs=False)
    world.archive.lose("dists/*")
    expected = (
        f"2 days old; last checked 2026-01-12: --update all would bring 1 newer package{MORE}"
    )
    assert line(world) == expected
    assert line(world) == expected  # remembered, not counted again


def test_what_another_recipe_saw_counts_too(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    lockfile = (world.home / "test.lock").read_bytes()
    world.move("trixie", [package("lib1", "1-2"), package("lib2", "1-2")])
    world.lock_recipe("name: other\npackages: [lib1]")
    world.recipe("packages: [lib1, lib2]")
    (world.home / "test.lock").write_bytes(lockfile)
    assert "--update all would bring 2 newer packages" in line(world)


def test_a_pin_keeps_its_package_out_of_the_count(tmp_path: Path) -> None:
    world = world_of(tmp_path, 'packages: [lib1, lib2]\npins: [{name: lib1, version: "1-1"}]')
    both = [package("lib1", "1-1"), package("lib1", "1-2"), package("lib2", "1-2")]
    world.move("trixie", both)
    world.outdated(changelogs=False)
    assert "would bring 1 newer package (" in line(world)


def test_an_update_of_the_security_suite_is_counted(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.move("trixie-security", [package("lib1", "1-1+deb13u1")])
    world.outdated(changelogs=False)
    assert "would bring 1 newer package (" in line(world)


def test_a_state_older_than_the_lockfile_brings_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.archive.publish(
        suite("trixie-updates", [package("lib1", "9-1")], date=DATE - timedelta(days=1))
    )
    world.outdated(changelogs=False)
    assert "no newer packages known" in line(world)


def test_on_another_machine_nothing_is_known(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.now = LATER
    world.store = Store(tmp_path / "another")
    assert line(world) == f"2 days old; not yet checked on this machine{MORE}"


@pytest.mark.parametrize("lost", ["blobs", "answers"])
def test_without_the_indexes_the_count_is_not_known(tmp_path: Path, lost: str) -> None:
    world = world_of(tmp_path)
    world.move("trixie", [package("lib1", "1-2"), package("lib2", "1-1")])
    world.outdated(changelogs=False)
    for path in (tmp_path / "cache" / lost).rglob("*"):
        if path.is_file():
            path.unlink()
    assert "--update all" not in line(world)
