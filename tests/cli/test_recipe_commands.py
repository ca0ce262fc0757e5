"""``homeport recipe``, ``catalog`` and ``lock`` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from homeport.cli.main import run

TEXT = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, with cache and configuration of its own."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return work


@pytest.fixture
def world(tmp_path: Path, home: Path) -> World:
    """An archive without end of validity, and ``./homeport.yaml`` that uses it."""
    packages = [deb("app", files={"usr/bin/app": b"x"}), deb("more", files={"usr/bin/more": b"x"})]
    made = World(tmp_path, packages, valid_for=None)
    (home / "key.asc").write_bytes(made.archive.certificate)
    recipe_file(home, TEXT.format(url=made.archive.url))
    return made


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_check_tells_every_fault_with_its_place_and_exits_2(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe_file(home, "pakages: [x]\npackages: [libc6_nonesuch]\nfiles: [{from: none, to: /x}]")
    assert run(["recipe", "check"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "homeport.yaml:4:1: unknown field 'pakages' of the recipe",
        "  hint: did you mean packages?",
        "error: 1 fault in the recipe homeport.yaml",
    ]
    recipe_file(home, "packages: [libc6_nonesuch]\nfiles: [{from: none, to: /x}]")
    assert run(["recipe", "check", "--format", "json"]) == 2
    error = printed(capsys)["error"]
    assert [fault["where"]["line"] for fault in error["faults"]] == [4, 5]
    assert error["id"] == "faults"


def test_check_of_a_good_recipe_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe_file(home, "packages: [libc6_libs]")
    assert run(["recipe", "check", "."]) == 0
    assert capsys.readouterr().out == "homeport.yaml: test: valid\n"


@pytest.mark.parametrize("arguments", [[], ["--slices"]])
def test_the_schema_is_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipe", "schema", *arguments]) == 0
    assert printed(capsys)["$schema"].endswith("2020-12/schema")


def test_the_catalog_is_listed_and_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "list", "-q"]) == 0
    assert "dockerfile-copy" in capsys.readouterr().out.splitlines()
    assert run(["catalog", "show", "dockerfile-copy", "--format", "json"]) == 0
    found = printed(capsys)
    assert len(found["locked"]["packages"]) == 7
    assert run(["catalog", "show", "dockerfile-copy", "--recipe"]) == 0
    assert capsys.readouterr().out.startswith("homeport: 1\nname: dockerfile-copy\n")
    assert run(["catalog", "show", "dockerfile-cpy"]) == 2
    assert "did you mean dockerfile-copy?" in capsys.readouterr().err


def test_lock_writes_then_has_nothing_to_do(
    world: World, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lock", ".", "--check"]) == 4
    assert run(["lock", "."]) == 0
    assert capsys.readouterr().out.endswith("test.lock: 1 package for 1 platform\n")
    before = (home / "test.lock").read_bytes()
    assert run(["lock", "."]) == 0
    assert capsys.readouterr().out == "test.lock is up to date\n"
    assert run(["lock", ".", "--check"]) == 0
    assert (home / "test.lock").read_bytes() == before


def test_lock_says_as_json_what_changed(
    world: World, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lock", ".", "-q"]) == 0
    assert capsys.readouterr().out == "test.lock\n"
    text = TEXT.format(url=world.archive.url).replace("[app]", "[app, more]")
    recipe_file(home, text)
    assert run(["lock", ".", "--format", "json"]) == 0
    found = printed(capsys)
    assert (found["schema"], found["reason"]) == ("homeport-lock/v1", "disagrees")
    assert found["changes"] == [
        {"name": "more", "old": None, "new": "1.0-1", "source": "more", "slices": False,
         "platforms": ["linux/amd64"]},
    ]  # fmt: skip
    assert found["platforms"]["linux/amd64"]["packages"] == 2


def test_an_expired_state_is_refused_with_the_very_command_that_takes_it(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, [deb("app", files={"usr/bin/app": b"x"})])
    (home / "key.asc").write_bytes(world.archive.certificate)
    recipe_file(home, TEXT.format(url=world.archive.url))
    assert run(["lock", "./homeport.yaml", "--lockfile", "other.lock"]) == 1
    said = capsys.readouterr().err
    command = said[said.index("homeport lock ") :].split(" |")[0].splitlines()[0]
    assert run(command.split()[1:]) == 0
    assert '"as_of": ' in (home / "other.lock").read_text()


def test_options_that_do_not_go_together_are_a_usage_error(home: Path) -> None:
    assert run(["lock", "dockerfile-copy", "--check", "--update", "all"]) == 2
