"""``homeport audit`` as people and pipelines run it: output, files, exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from builders.audit import lay_out
from homeport.cli.main import run


@pytest.fixture(autouse=True)
def _tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / ".cache"))
    lay_out({"Dockerfile": "FROM debian:13\n"}, tmp_path)


def test_the_working_directory_is_audited_without_paths(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "homeport-audit/v1"
    assert [image["image"] for image in document["images"]] == ["docker.io/library/debian:13"]


def test_rules_and_those_due_for_a_check_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["audit", "rules"]) == 0
    assert "act-runner  nektos/act, cmd/platforms.go" in capsys.readouterr().out
    monkeypatch.setattr("homeport.cli.audit_rules.old_rules", lambda tools, today: [])
    assert run(["audit", "rules", "--check-age"]) == 0
    assert capsys.readouterr().out == "0 rules not checked for 180 days\n"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    lay_out({"rules/Dockerfile": "FROM alpine:3.22\n"}, tmp_path)
    assert run(["audit", "./rules", "--format", "json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["image"] == "docker.io/library/alpine:3.22"


def test_a_violation_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--deny", "floating"]) == 3
    assert "Violations of the policy:" in capsys.readouterr().out
    assert run(["audit", "--allow-registry", "registry.example"]) == 3
    assert run(["audit", "--exit-code"]) == 3
    assert run(["audit", "--deny", "end-of-life"]) == 0


def test_a_level_can_fail_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--fail-on", "high"]) == 0
    assert run(["audit", "--fail-on", "medium"]) == 3
    assert "a finding of level medium" in capsys.readouterr().out
    lay_out({"Dockerfile": "FROM debian:10\n"}, tmp_path)
    assert run(["audit", "--fail-on", "high"]) == 3


def test_the_worst_images_are_listed_and_all_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"FROM quay.io/a/b{number:02}:1.2.3" for number in range(30)]
    lay_out({"Dockerfile": "\n".join(["FROM debian:10", *lines, "FROM $X"]) + "\n"}, tmp_path)
    assert run(["audit"]) == 0
    output = capsys.readouterr().out
    columns, heading, first, *_ = output.splitlines()
    assert columns.split() == ["LEVEL", "IMAGE", "PLACE", "WHY"]
    assert heading == "Move to a supported release (end-of-life)"
    assert first.split()[:2] == ["HIGH", "debian:10"]
    assert output.count("Dockerfile:") == 20 + 1
    assert "The 20 worst are listed; --all lists 11 images more." in output
    assert "By level: 1 high, 1 medium, 30 low\nBy registry: quay.io 30, docker.io 1" in output
    assert output.count("$X") == 1
    assert run(["audit", "--all"]) == 0
    assert "quay.io/a/b29:1.2.3" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"compose.yaml": "image: [\n"}, tmp_path)
    assert run(["audit"]) == 1
    said = capsys.readouterr()
    assert "debian:13" in said.out
    assert "compose.yaml" in said.err


def test_a_baseline_lets_a_team_begin(tmp_path: Path) -> None:
    assert run(["audit", "--write-baseline", "b.yaml"]) == 0
    assert run(["audit", "--baseline", "b.yaml", "--deny", "floating"]) == 0
    lay_out({"new/Dockerfile": "FROM alpine\n"}, tmp_path)
    assert run(["audit", "--baseline", "b.yaml", "--deny", "floating"]) == 3


def test_quiet_and_a_baseline_print_violations_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["audit", "--write-baseline", "b.yaml", "-q"]) == 0
    assert run(["audit", "--baseline", "b.yaml", "--deny", "floating"]) == 0
    assert capsys.readouterr().out == "no violation beside those that the baseline records\n"
    lay_out({"new/Dockerfile": "FROM alpine\n"}, tmp_path)
    for arguments in (["--baseline", "b.yaml"], ["-q", "--exclude", "Dockerfile"]):
        assert run(["audit", *arguments, "--deny", "floating"]) == 3
        assert capsys.readouterr().out == (
            "Violations of the policy:\n"
            "  new/Dockerfile:1 FROM  docker.io/library/alpine:latest: floating is denied\n"
        )


def test_plan_and_apply(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--home", "registry.example/m", "--plan", "plan.yaml"]) == 0
    assert run(["audit", "--apply", "plan.yaml"]) == 0
    assert "+FROM registry.example/m/docker.io/library/debian:13" in capsys.readouterr().out
    assert (tmp_path / "Dockerfile").read_text() == "FROM debian:13\n"
    assert run(["audit", "--apply", "plan.yaml", "--yes"]) == 0
    text = (tmp_path / "Dockerfile").read_text()
    assert text == "FROM registry.example/m/docker.io/library/debian:13\n"
    assert run(["audit", "--apply", "plan.yaml", "--yes"]) == 0
    assert "already applied" in capsys.readouterr().out
    (tmp_path / "Dockerfile").write_text("FROM debian:12\n")
    assert run(["audit", "--apply", "plan.yaml", "--yes"]) == 3


def test_a_plan_keeps_decisions_and_its_configuration_can_be_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", "registry.example/m"]
    assert run(["audit", *home, "--plan", "plan.yaml", "--write-config", "config"]) == 0
    text = (tmp_path / "plan.yaml").read_text()
    assert "config_files" not in text
    written = [path for path in (tmp_path / "config").rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        "config/buildkitd.toml", "config/certs.d/docker.io/hosts.toml", "config/registries.conf",
        "config/source-policy.json",
    ]  # fmt: skip
    (tmp_path / "plan.yaml").write_text(text.replace("action: import", "action: leave"))
    assert run(["audit", *home, "--update-plan", "plan.yaml"]) == 0
    assert "action: leave" in (tmp_path / "plan.yaml").read_text()
    assert run(["audit", "--write-config", "config"]) == 2
    assert "needs a plan" in capsys.readouterr().err


def test_a_tree_outside_the_working_directory_is_planned_and_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    lay_out({"a/Dockerfile": "FROM quay.io/a/b:1\n", "a/.env": ""}, tmp_path / "other")
    arguments = ["audit", "--home", "registry.example/m", "--plan", "plan.yaml", "../other"]
    assert run(arguments) == 0
    assert "a/Dockerfile:1" in capsys.readouterr().out
    assert run(["audit", "--apply", "plan.yaml", "--yes", "../other"]) == 0
    text = (tmp_path / "other/a/Dockerfile").read_text()
    assert text == "FROM registry.example/m/quay.io/a/b:1\n"


def test_the_other_reports_are_files(tmp_path: Path) -> None:
    arguments = ["--sarif", "o.sarif", "--html", "o.html", "--code-quality", "q.json"]
    assert run(["audit", *arguments]) == 0
    assert json.loads((tmp_path / "o.sarif").read_text())["version"] == "2.1.0"
    assert (tmp_path / "o.html").read_text().startswith("<!doctype html>")
    assert len(json.loads((tmp_path / "q.json").read_text())) == 1


def give(monkeypatch: pytest.MonkeyPatch, document: object) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(document).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)


def test_pods_come_on_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = "sha256:" + "a" * 64
    pod = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"initContainers": [{"name": "i", "image": "busybox"}],
                 "containers": [{"name": "c", "image": "quay.io/a/b:1"}]},
        "status": {"containerStatuses": [{"name": "c", "imageID": f"quay.io/a/b@{digest}"}]},
    }  # fmt: skip
    give(monkeypatch, {"kind": "List", "items": [pod]})
    assert run(["audit", "-", "--format", "json"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert [(i["image"], i["uses"][0]["key"], i["uses"][0].get("note")) for i in images] == [
        ("docker.io/library/busybox:latest", "n/p: i", None),
        ("quay.io/a/b:1", "n/p: c", f"runs {digest}"),
    ]


@pytest.mark.parametrize("document", [{}, [], "x", {"items": 1}, {"items": [{"spec": 1}]}])
def test_what_is_no_list_of_pods_is_a_usage_error(
    document: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(monkeypatch, document)
    assert run(["audit", "-"]) == 2
    assert "kubectl get pods" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--assume", "docker"],
        ["--deny", "nothing"],
        ["--plan", "p.yaml"],
        ["--apply", "p.yaml", "--plan", "q.yaml"],
        ["--apply", "p.yaml"],
        ["--yes"],
        ["--apply", "Dockerfile"],
        ["--policy", "Dockerfile"],
        ["--baseline", "Dockerfile"],
        ["--online", "--offline"],
        ["--home", "x", "--plan", "p.yaml"],
    ],
)
def test_wrong_requests_are_usage_errors(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "Traceback" not in said


def test_nothing_that_steers_a_terminal_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out({"Dockerfile": "FROM a\x1b[2Jb\n"}, tmp_path)
    run(["audit"])
    assert "\x1b" not in capsys.readouterr().out
