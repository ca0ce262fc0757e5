"""Local files that are not there are told before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld
from homeport.errors import Faults

FILES = """
platforms: [linux/amd64, linux/arm64]
files:
  - {from: ./absent, to: /x}
  - {from: ./arm, to: /y, platforms: [linux/arm64]}
"""


def test_every_missing_file_is_named_with_its_line_and_no_archive_is_asked(tmp_path: Path) -> None:
    world = BuildWorld(tmp_path, [])
    world.archive.lose("*")
    path = world.write_recipe(BARE + FILES)
    with pytest.raises(Faults) as caught:
        world.build(path)
    assert [(each.what, each.where["line"]) for each in caught.value.faults] == [
        (f"missing file {path.parent}/{name}", line)
        for name, line in (("absent", _line(path, "./absent")), ("arm", _line(path, "./arm")))
    ]


def test_files_of_other_platforms_may_be_missing(tmp_path: Path) -> None:
    world = BuildWorld(tmp_path, [])
    path = world.write_recipe(BARE + FILES)
    (path.parent / "absent").write_text("x")
    assert world.build(path, platforms=("linux/amd64",)).built.images


def _line(path: Path, word: str) -> int:
    return next(n for n, line in enumerate(path.read_text().split("\n"), 1) if word in line)
