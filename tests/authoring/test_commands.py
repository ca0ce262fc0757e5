"""``init``, ``add``, ``search``, ``show`` and ``catalog slices`` as a user meets them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file, slices
from homeport.cli.main import run

TEXT = """
# Ours.
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages:
  - app      # the program
# The end.
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return work


@pytest.fixture
def world(tmp_path: Path, home: Path) -> World:
    """An archive with three packages, and ``./homeport.yaml`` that uses it."""
    packages = [
        deb("app", files={"usr/bin/app": b"12345"}, fields={"Description": "Sends Mail"}),
        deb("app-tools", files={"usr/bin/tool": b"x"}, fields={"Description": "more"}),
        deb(
            "mailer", "2-1", files={"usr/bin/mailer": b"x"}, fields={"Description": "app for mail"}
        ),
    ]
    made = World(tmp_path, packages, valid_for=None)
    (home / "key.asc").write_bytes(made.archive.certificate)
    recipe_file(home, TEXT.format(url=made.archive.url))
    slices(home, "app", "bins: {paths: [/usr/bin/app], needs: [mailer_all]}")
    return made


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_package_is_added_below_the_others_and_comments_stay(
    world: World, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (home / "homeport.yaml").read_text()
    assert run(["add", "mailer", "app-tools=1.0-1", "mailer"]) == 0
    after = before.replace("# the program\n", "# the program\n  - mailer\n  - app-tools=1.0-1\n")
    assert (home / "homeport.yaml").read_text() == after
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "homeport.yaml: added mailer, app-tools=1.0-1",
        "next: homeport lock homeport.yaml",
    ]
    assert run(["lock", "homeport.yaml"]) == 0
    assert run(["add", "mailer"]) == 0
    assert (home / "homeport.yaml").read_text() == after


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["maile"], 2, "did you mean mailer?"),
        (["app_bins"], 2, "app"),
        (["mailer_none"], 2, "unknown slice mailer_none"),
        (["App!"], 2, "invalid package 'App!'"),
        (["mailer=1,2"], 2, ""),
        (["mailer", "--recipe", "busybox"], 2, "extends: busybox"),
    ],
)
def test_what_cannot_be_added_changes_nothing(
    words: list[str], code: int, said: str, world: World, home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before = (home / "homeport.yaml").read_bytes()
    assert run(["add", *words]) == code
    assert said in capsys.readouterr().err
    assert (home / "homeport.yaml").read_bytes() == before


def test_the_mode_of_a_recipe_stays(world: World, home: Path) -> None:
    (home / "homeport.yaml").chmod(0o640)
    assert run(["add", "mailer", "--no-check"]) == 0
    assert (home / "homeport.yaml").stat().st_mode & 0o777 == 0o640


def test_search_finds_names_first_then_summaries(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["search", "APP", "-q"]) == 0
    assert capsys.readouterr().out.split() == ["app", "app-tools", "mailer"]
    assert run(["search", "mail", "app", "--format", "json"]) == 0
    found = document(capsys)
    assert [each["name"] for each in found["packages"]] == ["mailer", "app"]
    assert found["packages"][1]["slices"] == 1
    assert run(["search", "app", "--limit-to", "1"]) == 0
    assert "3 packages, 2 not shown (--limit-to 0)" in capsys.readouterr().out
    assert run(["search", "nothing-like-this"]) == 3


def test_show_says_what_a_package_is_and_which_slice_takes_a_file(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["show", "app", "--files", "--format", "json"]) == 0
    found = document(capsys)
    assert (found["version"], found["suite"]) == ("1.0-1", "trixie")
    assert {each["path"]: (each["size"], each["slices"]) for each in found["paths"]}[
        "/usr/bin/app"
    ] == (5, ["bins"])
    assert found["slices"] == [
        {"package": "app", "slice": "bins", "paths": ["/usr/bin/app"], "needs": ["mailer_all"]}
    ]
    assert run(["show", "app"]) == 0
    assert capsys.readouterr().out.endswith("next: homeport add app_bins\n")
    assert run(["show", "ap"]) == 2
    assert "hint: homeport show app" in capsys.readouterr().err


def test_slices_of_the_recipe_and_of_the_catalog_are_listed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["catalog", "slices", "-q"]) == 0
    names = capsys.readouterr().out.split()
    assert {"app_bins", "libc6_libs"} < set(names)
    assert run(["catalog", "slices", "app"]) == 0
    assert "app_bins  /usr/bin/app" in capsys.readouterr().out
    assert run(["catalog", "slices", "lbc6"]) == 2
    assert "homeport catalog slices libc6" in capsys.readouterr().err


def test_a_recipe_from_arguments_is_valid_and_never_written_over(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["init", "libc6_libs", "hello", "--no-check", "--program", "/usr/bin/hello 'a b'"]
    assert run(asked) == 0
    assert (home / "homeport.yaml").read_text().splitlines()[1:] == [
        "homeport: 1",
        "name: work",
        "platforms: [linux/amd64, linux/arm64]",
        "packages:",
        "  - libc6_libs",
        "  - hello",
        "config:",
        '  entrypoint: ["/usr/bin/hello", "a b"]',
    ]
    assert run(["recipe", "check"]) == 0
    assert run(asked) == 2
    assert "homeport add PACKAGE" in capsys.readouterr().err
    assert run(["init", "hello", "--in", "Not A Name", "--no-check"]) == 2
    assert not (home / "Not A Name").exists()
    assert run(["init"]) == 2


def test_init_asks_on_a_terminal(home: Path) -> None:
    main, other = pty.openpty()
    command = [sys.executable, "-m", "homeport", "init", "--no-check"]
    with subprocess.Popen(command, stdin=other, stdout=other, stderr=other, cwd=home) as program:
        os.close(other)
        os.write(main, b"tools\nhello libc6_libs\nlinux/riscv64\n/usr/bin/hello\n")
        shown = b""
        while block := _read(main):
            shown += block
    assert program.returncode == 0, shown
    assert b"Name of the image [work]" in shown
    assert (
        "platforms: [linux/riscv64]\npackages:\n  - hello\n  - libc6_libs\n"
        in (home / "homeport.yaml").read_text()
    )


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize(
    "words",
    [
        ["init", "mailer", "--in", "locked/new", "--name", "x"],
        ["lock", "homeport.yaml", "--lockfile", "locked/x.lock"],
        ["sbom", "homeport.yaml", "-o", "locked/x.json"],
        ["slice", "propose", "app", "-o", "locked/app.yaml"],
    ],
)
def test_a_place_that_cannot_be_written_is_named_before_the_archive_is_asked(
    words: list[str], world: World, home: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (home / "locked").mkdir()
    can = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: "locked" not in str(path) and can(path, mode)
    )
    shutil.rmtree(world.root / "mirror")
    assert run(words) == 1
    shown = capsys.readouterr().err
    assert "Permission denied" in shown
    assert "hint: choose a path that you may write to" in shown
