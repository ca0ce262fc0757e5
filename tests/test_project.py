"""The project file: found upwards, weaker than options, variables and the user's configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.app import open_app
from homeport.cli.main import run
from homeport.debian.archive.mirror_list import MirrorSources, mirror_addresses
from homeport.project import read_project
from homeport.settings import Settings


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a Dockerfile in two folders; the working directory is in it."""
    root = tmp_path / "project"
    for folder in ("", "vendor"):
        (root / folder).mkdir(parents=True)
        (root / folder / "Dockerfile").write_text("FROM docker.io/library/debian:13\n")
    (root / ".git").mkdir()
    (root / "deep").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return root


def places(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    run(["audit", ".", "--format", "json", *arguments])
    document: Any = json.loads(capsys.readouterr().out)
    return {
        use["file"] for image in document["images"] for use in image["uses"]
    }  # fmt: skip


def test_options_come_from_the_nearest_file_and_the_command_line_wins(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "homeport.toml").write_text('[audit]\nexclude = ["vendor/**"]\n')
    assert places(capsys) == {"Dockerfile"}
    assert places(capsys, "--exclude", "none/**") == {"Dockerfile", "vendor/Dockerfile"}
    assert places(capsys, "--no-project") == {"Dockerfile", "vendor/Dockerfile"}
    (project / "homeport.toml").write_text('[audit]\ndeny = "floating"\n')
    assert run(["audit", "."]) == 3
    monkeypatch.setenv("HOMEPORT_AUDIT_DENY", "gone")
    assert run(["audit", "."]) == 0
    monkeypatch.delenv("HOMEPORT_AUDIT_DENY")
    monkeypatch.chdir(project / "deep")
    assert run(["audit", ".."]) == 3
    (project / "deep/homeport.toml").write_text("")
    assert run(["audit", ".."]) == 0


def test_a_table_of_pyproject_does(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.homeport.audit]\ndeny = ["floating"]\n'
    )
    assert run(["audit", "."]) == 3


def test_it_is_not_looked_for_above_the_repository(project: Path, tmp_path: Path) -> None:
    (tmp_path / "homeport.toml").write_text("nonsense = 1\n")
    assert read_project("", project / "deep") is None


def test_verbose_names_the_file_and_what_it_sets(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "homeport.toml").write_text('home = "registry.example/m"\n')
    run(["audit", ".", "-v"])
    assert f"project file {project}/homeport.toml: sets audit.home" in capsys.readouterr().err


def test_mirrors_come_after_those_of_the_user(project: Path, tmp_path: Path) -> None:
    (project / "homeport.toml").write_text(
        '[debian.mirrors]\ndebian = "https://theirs.example/debian"\n'
    )
    configuration = tmp_path / "config.toml"
    configuration.write_text('[debian.mirrors]\ndebian = "https://ours.example/debian"\n')
    settings = Settings.load(configuration, project=read_project("", project))
    with open_app(settings) as app:
        sources = MirrorSources(
            configured=app.settings.mirrors, project=app.settings.project_mirrors
        )
    assert [(each.text, each.configured_by) for each in mirror_addresses("debian", sources)] == [
        ("https://ours.example/debian", "the configuration file"),
        ("https://theirs.example/debian", "the project file"),
    ]


def test_a_wrong_value_names_the_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "homeport.toml").write_text('[build]\ncompression = "zst"\n')
    assert run(["build", "busybox"]) == 2
    assert f"defaults are from {project}/homeport.toml" in capsys.readouterr().err


def test_a_named_file_says_whose_signatures_count(project: Path) -> None:
    (project / "team.toml").write_text('[verify]\nkey = ["keys/a.pub"]\n')
    named = read_project("team.toml", project)
    assert named is not None
    assert (named.defaults, named.ignored) == ({"verify": {"key": [f"{project}/keys/a.pub"]}}, ())
    assert run(["audit", ".", "--project", "team.toml", "--no-project"]) == 2
