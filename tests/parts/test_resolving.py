"""What is decided about parts before any engine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb
from homeport.content.digest import Digest
from homeport.errors import OutOfDate
from homeport.oci.platform import parse_platform
from homeport.parts.inputs import read_inputs
from homeport.parts.resolve import part_stale_reasons
from homeport.progress import CancelToken
from homeport.recipe.lock.model import LockedPart, LockedTree
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.lock.writing import write_lockfile
from homeport.recipe.text_files import BadRecipe

PART = """\
parts: [{name: tool, packages: [hello], run: "true"}]
files: [{part: tool, path: /tool, to: /tool}]
"""


@pytest.fixture
def world(tmp_path: Path) -> BuildWorld:
    return BuildWorld(tmp_path, [deb("hello", files={"usr/bin/hello": b"x"})])


def test_a_recipe_without_parts_never_asks_for_an_engine(world: BuildWorld) -> None:
    assert listing(world.build(f"{BARE}packages: [hello]\n")) == {"usr/bin/hello": "0644 x"}


def test_locked_refuses_a_part_that_is_not_locked(world: BuildWorld) -> None:
    world.build(f"{BARE}packages: [hello]\n")
    with pytest.raises(OutOfDate, match="the part tool is out of date") as caught:
        world.build(f"{BARE}packages: [hello]\n{PART}", locked=True)
    assert caught.value.where["field"] == "parts[0]"


def test_a_part_that_the_recipe_no_longer_has_leaves_the_lockfile(world: BuildWorld) -> None:
    path = world.build(f"{BARE}packages: [hello]\n").locked.path
    lockfile = read_lockfile(path)
    assert lockfile is not None
    output = LockedTree(digest=Digest.of(b"x"), size=1)
    gone = LockedPart(inputs=Digest.of(b""), outputs={parse_platform("linux/amd64"): output})
    write_lockfile(replace(lockfile, parts={"gone": gone}), path)
    world.build(f"{BARE}packages: [hello]\n")
    again = read_lockfile(path)
    assert again is not None
    assert again.parts == {}


def test_what_disagrees_is_said_without_an_engine(world: BuildWorld) -> None:
    lockfile = world.build(f"{BARE}packages: [hello]\n").locked.lockfile
    recipe = world.recipe(f"{BARE}packages: [hello]\n{PART}")
    cancel = CancelToken()
    assert part_stale_reasons(recipe, lockfile, cancel) == ("the part tool is not locked",)
    part = LockedPart(inputs=Digest.of(b""), root=world.lock("packages: [hello]").lockfile)
    (found,) = part_stale_reasons(recipe, replace(lockfile, parts={"tool": part}), cancel)
    assert found.startswith("the build root of tool: ")


def test_a_context_with_the_lockfile_is_told_with_the_line_that_keeps_it_out(
    world: BuildWorld,
) -> None:
    world.build(f"{BARE}packages: [hello]\n")
    (world.home / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    recipe = world.recipe(
        f"{BARE}parts: [{{name: page, from: {{dockerfile: Dockerfile}}}}]\n"
        "files: [{part: page, path: /x, to: /x}]\n"
    )
    (part,) = recipe.parts
    with pytest.raises(BadRecipe, match=r"holds the lockfile test\.lock") as caught:
        read_inputs(recipe, part, None, (), CancelToken())
    assert f"add the line test.lock* to {world.home / '.dockerignore'}" in str(caught.value.hint)
    (world.home / ".dockerignore").write_text("test.lock*\n")
    read_inputs(recipe, part, None, (), CancelToken())
