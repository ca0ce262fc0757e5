"""The programs of docs/python.md run as written (solve: tests/peers/test_python_solve.py)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builders.audit import lay_out
from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from builders.small_registry import small_registry

PAGE = Path(__file__).parents[1] / "docs/python.md"
RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64]
packages: [app]
"""


def programs() -> dict[str, str]:
    """Heading → program."""
    found = re.findall(r"^### ([^\n]+)\n\n```python\n(.*?)```", PAGE.read_text(), re.M | re.S)
    return dict(found)


def test_each_of_the_eight_programs_has_at_most_ten_lines_besides_imports() -> None:
    assert len(programs()) == 8
    for text in programs().values():
        lines = [line for line in text.splitlines() if line and "import" not in line]
        assert 3 <= len(lines) <= 10


def test_the_programs_print_what_they_are_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    world = World(tmp_path / "world", [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
    recipe_file(work / "recipe", RECIPE.format(url=world.archive.url))
    (work / "recipe/key.asc").write_bytes(world.archive.certificate)
    lay_out({"tree/Dockerfile": "FROM debian:13\n"}, work)
    with small_registry() as registry:

        def run(name: str) -> list[str]:
            text = programs()[name].replace("registry.example", registry.host)
            exec(compile(text, name, "exec"), {"__name__": "program"})
            return capsys.readouterr().out.splitlines()

        [digest] = run("Build")
        assert run("Push")[0].startswith(f"{digest} ")
        mirrored = run("Mirror with progress")
        assert mirrored[-1] == f"docker://{registry.host}/mirror/app:1 {digest}"
        assert any(line.endswith(" done") for line in mirrored)
        assert run("Inspect") == [digest, "app 1.0-1"]
        assert run("Find the package of a file") == ["app"]
        assert run("Diff") == ["equal"]
        assert run("Audit a tree") == ["docker.io/library/debian:13"]
