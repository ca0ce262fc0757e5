"""The page docs/docker-pkg.md: every command that needs no engine runs in the example."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from homeport.cli.main import homeport

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/docker-pkg.md").read_text()
COMMANDS = re.findall(r"^    \$ homeport (docker-pkg .*)$", PAGE, re.MULTILINE)
#: These ask a registry or an engine: tests/peers/test_docker_pkg.py.
ENGINE = "docker-pkg build"


def test_the_page_has_commands_of_every_kind() -> None:
    words = {command.split()[1] for command in COMMANDS}
    assert words == {"list", "graph", "check", "build", "convert", "update"}


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith(ENGINE)])
def test_the_pages_commands_run_in_the_example(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "examples/production-images", tmp_path / "tree")
    monkeypatch.chdir(tmp_path / "tree")
    done = CliRunner().invoke(homeport, shlex.split(command))
    assert done.exit_code == 0, done.output
    assert "greeter" in done.output or "0 findings" in done.output
