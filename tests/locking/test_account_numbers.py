"""Numbers of packages' accounts in the lockfile: chosen once, kept, and what images get."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from builders.building import BuildWorld, listing
from builders.deb import deb
from builders.locking import World
from homeport.recipe.lock.model import NO_NUMBERS, AccountNumbers, Lockfile
from homeport.recipe.lock.reading import parse_lockfile
from homeport.recipe.lock.writing import format_lockfile

_STEPS = "steps: {copyright: false, os_release: false, status_database: false, tmp: false}\n"
#: Both names lead to this number.
_FIRST, _SECOND, _NUMBER = "daemon29", "daemon50", 845


def daemon(name: str, architecture: str = "all", postinst: str = "") -> bytes:
    script = postinst or f"#!/bin/sh\nadduser --system --group {name}\n"
    return deb(
        name, architecture=architecture, files={f"usr/share/{name}": name},
        scripts={"postinst": script},
    )  # fmt: skip


def locked(
    world: World, packages: str, previous: Lockfile | None = None, more: str = ""
) -> AccountNumbers:
    return world.lock(
        f"{_STEPS}packages: [{packages}]\n{more}", previous=previous
    ).lockfile.accounts


def alike(**numbers: int) -> AccountNumbers:
    return AccountNumbers(users=numbers, groups=numbers)


def test_a_number_stays_with_its_name_when_the_recipe_changes(tmp_path: Path) -> None:
    world = World(tmp_path, [daemon(_FIRST), daemon(_SECOND)])
    first = world.lock(f"{_STEPS}packages: [{_SECOND}]").lockfile
    assert first.accounts == alike(daemon50=_NUMBER)
    both = locked(world, f"{_FIRST}, {_SECOND}", first)
    assert both == alike(daemon29=_NUMBER + 1, daemon50=_NUMBER)
    # From nothing the first in the alphabet has its own number.
    assert locked(world, f"{_FIRST}, {_SECOND}") == alike(daemon29=_NUMBER, daemon50=_NUMBER + 1)
    # A name that is gone keeps no number from others.
    assert locked(world, _FIRST, first) == alike(daemon29=_NUMBER)


def test_all_platforms_share_one_number(tmp_path: Path) -> None:
    one = daemon(_FIRST, "amd64")
    world = World(tmp_path, [one, deb(_FIRST, architecture="arm64", files={"usr/share/x": "x"}),
                             daemon(_SECOND, "amd64"), daemon(_SECOND, "arm64")])  # fmt: skip
    found = locked(world, f"{_FIRST}, {_SECOND}", more="platforms: [linux/amd64, linux/arm64]")
    assert found == alike(daemon29=_NUMBER, daemon50=_NUMBER + 1)


def test_images_have_the_recorded_numbers_and_the_report_shows_them(tmp_path: Path) -> None:
    world = BuildWorld(tmp_path, [daemon(_FIRST), daemon(_SECOND)])
    world.build(f"{_STEPS}packages: [{_SECOND}]")
    built = world.build(f"{_STEPS}packages: [{_FIRST}, {_SECOND}]")
    passwd = listing(built)["etc/passwd"]
    assert f"{_SECOND}:x:{_NUMBER}:{_NUMBER}:" in passwd
    assert f"{_FIRST}:x:{_NUMBER + 1}:{_NUMBER + 1}:" in passwd
    shown = alike(daemon29=_NUMBER + 1, daemon50=_NUMBER)
    assert built.built.images[0].accounts == shown
    again = world.build(f"{_STEPS}packages: [{_FIRST}, {_SECOND}]").built.images[0]
    assert (again.cached, again.accounts) == (True, shown)


def test_what_the_recipe_and_debian_fix_is_not_recorded(tmp_path: Path) -> None:
    script = (
        "#!/bin/sh\nadduser --system --group mine\nadduser www-data adm\nadduser --system --uid 321"
        " --ingroup nogroup fixed\naddgroup --system shared\nadduser mine shared\n"
    )
    world = World(tmp_path, [daemon("tool", postinst=script)])
    found = locked(world, "tool", more="accounts: {users: [{name: mine, uid: 700}]}\n")
    assert dict(found.users) == {"fixed": 321}
    assert list(found.groups) == ["shared"]


def test_a_number_that_the_recipe_takes_is_changed_and_told(tmp_path: Path) -> None:
    world = World(tmp_path, [daemon(_FIRST)])
    first = world.lock(f"{_STEPS}packages: [{_FIRST}]").lockfile
    own = f"accounts: {{users: [{{name: mine, uid: {_NUMBER}}}]}}\n"
    result = world.lock(f"{_STEPS}packages: [{_FIRST}]\n{own}", previous=first)
    assert dict(result.lockfile.accounts.users) == {_FIRST: _NUMBER + 1}
    assert [text for text in world.notes.lines if "daemon29: number 845 → 846" in text]


def test_a_lockfile_of_before_gives_the_same_image(tmp_path: Path) -> None:
    world = BuildWorld(tmp_path, [daemon(_FIRST)])
    recipe = f"{_STEPS}packages: [{_FIRST}]"
    new = world.build(recipe)
    path = new.locked.path
    old = format_lockfile(msgspec.structs.replace(new.locked.lockfile, accounts=NO_NUMBERS))
    assert b"accounts" not in old
    path.write_bytes(old)
    again = world.build(recipe)
    assert again.locked.lockfile == parse_lockfile(old)
    assert [each.digest for each in again.built.images[0].layers] == [
        each.digest for each in new.built.images[0].layers
    ]


def test_slices_alone_have_no_accounts(tmp_path: Path) -> None:
    world = World(tmp_path, [daemon(_FIRST)])
    world.slices(_FIRST, f"data: {{paths: [/usr/share/{_FIRST}]}}")
    assert not locked(world, f"{_FIRST}_data")


def test_without_the_parser_of_scripts_versions_are_locked_and_numbers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Homeport's own image, whose packages of Debian do not have it."""
    world = World(tmp_path, [daemon(_FIRST), daemon(_SECOND)])
    first = world.lock(f"{_STEPS}packages: [{_SECOND}]").lockfile
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    again = world.lock(f"{_STEPS}packages: [{_FIRST}, {_SECOND}]", previous=first).lockfile
    assert again.accounts == first.accounts
    assert len(next(iter(again.platforms.values()))) == len((_FIRST, _SECOND))
