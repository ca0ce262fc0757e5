"""``homeport audit``: explanations, changes since a commit, reports for people and CI systems."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from builders.audit import lay_out
from homeport.cli.main import run

_GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


@pytest.fixture(autouse=True)
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / ".cache"))


def _git(*arguments: str) -> None:
    subprocess.run([*_GIT, *arguments], check=True, capture_output=True)


def test_a_finding_a_rule_and_an_image_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"a/Dockerfile": "FROM debian:10\n", "b/Dockerfile": "FROM debian:10\n"}, tmp_path)
    assert run(["audit", "explain", "floating"]) == 0
    assert "What helps: Add the digest to the tag" in capsys.readouterr().out
    assert run(["audit", "explain", "setup-qemu-binfmt"]) == 0
    said = capsys.readouterr().out
    assert "image: docker.io/tonistiigi/binfmt:latest" in said
    assert "input image: {home}" in said
    assert run(["audit", "explain", "debian", "a"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("docker.io/library/debian:10\nlevel high, high confidence\n")
    assert "end-of-life (high): Debian 10 has had no security support since 2024-06-30" in said
    assert "  a/Dockerfile:1 FROM" in said
    assert "b/Dockerfile" not in said
    assert run(["audit", "explain", "debian:10", "--format", "json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert len(image["uses"]) == 2


def test_an_image_that_a_recipe_replaces_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"Dockerfile": "FROM mirror.gcr.io/tonistiigi/binfmt:latest\n"}, tmp_path)
    assert run(["audit", "explain", "mirror.gcr.io/tonistiigi/binfmt"]) == 0
    assert "homeport build binfmt" in capsys.readouterr().out


def test_what_is_unknown_cannot_be_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "explain", "floatin"]) == 2
    assert "did you mean floating" in capsys.readouterr().err
    assert run(["audit", "explain", "redis:7"]) == 2
    lay_out({"explain/Dockerfile": "FROM alpine:3.22\n"}, tmp_path)
    assert run(["audit", "./explain"]) == 0
    assert "alpine:3.22" in capsys.readouterr().out


def test_only_files_that_changed_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"old/Dockerfile": "FROM debian:10\n", "x/Dockerfile": "FROM debian:13\n"}, tmp_path)
    _git("init", "-q", "-b", "main")
    _git("add", "old", "x")
    _git("commit", "-qm", "a")
    lay_out({"x/Dockerfile": "FROM alpine:3.10\n", "n ü/Dockerfile": "FROM busybox\n"}, tmp_path)

    def names(*more: str) -> list[str]:
        assert run(["audit", "--changed-since", "main", "--format", "json", *more]) == 0
        return [image["image"] for image in json.loads(capsys.readouterr().out)["images"]]

    assert names() == ["docker.io/library/alpine:3.10", "docker.io/library/busybox:latest"]
    assert names("x") == ["docker.io/library/alpine:3.10"]
    # What changed on the other branch meanwhile is not ours.
    _git("checkout", "-qb", "topic")
    _git("add", "x")
    _git("commit", "-qm", "b")
    _git("checkout", "-q", "main")
    lay_out({"old/Dockerfile": "FROM debian:11\n"}, tmp_path)
    _git("commit", "-qam", "c")
    _git("checkout", "-q", "topic")
    assert names() == ["docker.io/library/alpine:3.10", "docker.io/library/busybox:latest"]
    assert run(["audit", "--changed-since", "main", "--fail-on", "high"]) == 3
    _git("checkout", "-q", "--", "x")
    assert run(["audit", "--changed-since", "main", "--plan", "p.yaml", "--home", "r.example"]) == 2


def test_a_commit_that_git_does_not_know_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "--changed-since", "main"]) == 1
    assert "git merge-base failed" in capsys.readouterr().err
    _git("init", "-q", "-b", "main")
    assert run(["audit", "--changed-since", "nope"]) == 1
    assert "fetch-depth: 0" in capsys.readouterr().err
    assert run(["audit", "--changed-since", "--output=stolen"]) == 2
    assert not (tmp_path / "stolen").exists()


def test_a_repository_runs_no_program_of_its_own(tmp_path: Path) -> None:
    _git("init", "-q", "-b", "main")
    lay_out({"Dockerfile": "FROM debian:13\n", ".gitattributes": "* diff=evil\n"}, tmp_path)
    _git("add", ".")
    _git("commit", "-qm", "a")
    program = f"touch {tmp_path}/ran; true"
    for key in ("core.fsmonitor", "diff.external", "diff.evil.command", "diff.evil.textconv"):
        _git("config", key, program)
    lay_out({"Dockerfile": "FROM debian:12\n"}, tmp_path)
    assert run(["audit", "--changed-since", "main"]) == 0
    assert not (tmp_path / "ran").exists()


def test_violations_are_failures_of_junit(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "FROM debian:13\nFROM quay.io/a/b:1.2.3\n"}, tmp_path)
    assert run(["audit", "--deny", "floating", "--junit", "audit.xml"]) == 3
    root = ET.parse("audit.xml").getroot()
    assert root.attrib == {"name": "homeport audit", "tests": "2", "failures": "1"}
    first, second = root.iter("testcase")
    assert first.attrib["name"] == "docker.io/library/debian:13 (line 1, FROM)"
    failure = first.find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "floating", "message": "floating is denied"}
    assert second.find("failure") is None


def test_the_text_of_files_is_no_markup(tmp_path: Path) -> None:
    lay_out({"`|<b>\x01&/Dockerfile": "FROM ${X:-a`|<script>}\nFROM debian:10\n"}, tmp_path)
    assert run(["audit", "--markdown", "audit.md", "--junit", "audit.xml"]) == 0
    text = Path("audit.md").read_text()
    assert "### Move to a supported release \\(end\\-of\\-life\\)" in text
    assert "| high | `debian:10` | `ˋ¦<b>\\x01&/Dockerfile:2` |" in text
    for line in text.splitlines():
        # Whatever is not code holds no tag and no cell of its own.
        assert "<" not in "".join(line.split("`")[0::2])
        if line.startswith("| "):
            assert "".join(line.replace("\\|", "").split("`")[0::2]).count("|") == 5
    root = ET.parse("audit.xml").getroot()
    (suite,) = root.iter("testsuite")
    assert suite.attrib["name"] == "`|<b>�&/Dockerfile"


def test_markdown_lists_violations_first(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "FROM debian:13\n"}, tmp_path)
    assert run(["audit", "--deny", "floating", "--markdown", "audit.md"]) == 3
    text = Path("audit.md").read_text()
    assert "**1 foreign image** (1 medium) in 1 file; 1 violation of the policy." in text
    assert "| `Dockerfile:1` | `docker.io/library/debian:13` | floating is denied |" in text


def test_a_path_that_is_not_there_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["audit", "nofolder"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("nofolder") == 1


def test_the_next_command_has_the_readers_registry_or_worst_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"Dockerfile": "FROM debian:11\n"}, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert run(["audit"]) == 0
    assert capsys.readouterr().out.endswith("\n\nNext: homeport audit explain debian:11\n")
    assert run(["audit", "--home", "registry.example/mirror"]) == 0
    assert capsys.readouterr().out.endswith("\n\nNext: homeport home registry.example/mirror\n")
    (tmp_path / "empty").mkdir()
    assert run(["audit", "empty"]) == 0
    assert capsys.readouterr().out.endswith("\nhomeport audit DIRECTORY\n")
