"""What ``homeport pipelines`` writes, by schemas of the systems, linters and systemd itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builders.freshness import sample_report
from homeport.freshness.report.metrics import metrics_text
from homeport.pipelines.generate import run_pipelines
from homeport.pipelines.request import PipelineRequest, System
from peers.test_audit_formats import ROOT, need

#: Without and with a job that publishes, and one that signs where the system has an identity.
PUBLISHING = [("", False), ("registry.example/team", False), ("registry.example/team", True)]


def write(file: Path, system: System, repository: str, sign: bool) -> None:
    run_pipelines(
        PipelineRequest(
            system=system, recipes=("one", "images/two"), image="registry.example/ci/homeport:1",
            repository=repository, sign=sign and system in ("gitlab", "github"), file=file,
            directory=Path("/srv"),
        )
    )  # fmt: skip


def passes(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("system", "schema"),
    [
        ("gitlab", "vendor.gitlab-ci"),
        ("github", "vendor.github-workflows"),
        ("woodpecker", "vendor.woodpecker-ci"),
    ],
)
@pytest.mark.parametrize(("repository", "sign"), PUBLISHING)
def test_the_jobs_are_valid(
    tmp_path: Path, system: System, schema: str, repository: str, sign: bool
) -> None:
    file = tmp_path / "jobs.yml"
    write(file, system, repository, sign)
    passes(need("check-jsonschema"), "--builtin-schema", schema, file, folder=tmp_path)


@pytest.mark.parametrize("command", [["zizmor", "--offline", "--no-progress"], ["actionlint"]])
@pytest.mark.parametrize(("repository", "sign"), PUBLISHING)
@pytest.mark.parametrize("system", ["github", "forgejo"])
def test_linters_of_workflows_find_nothing(
    tmp_path: Path, system: System, repository: str, sign: bool, command: list[str]
) -> None:
    """zizmor looks for rights, injection and unpinned actions; actionlint for expressions.

    Forgejo's file stands where the linters look; zizmor reads its actions, which are URLs, as
    GitHub's.
    """
    file = tmp_path / ".github" / "workflows" / "homeport.yml"
    write(file, system, repository, sign)
    text = file.read_text()
    file.write_text(
        text.replace("https://data.forgejo.org/", "").replace("docker\n", "self-hosted\n")
    )
    (tmp_path / ".git").mkdir()  # actionlint looks for the root of a repository
    passes(need(command[0]), *command[1:], ".github/workflows/homeport.yml", folder=tmp_path)


def test_linters_find_nothing_in_the_action(tmp_path: Path) -> None:
    shutil.copy(ROOT / "action.yml", tmp_path)
    passes(need("zizmor"), "--offline", "--no-progress", "action.yml", folder=tmp_path)


@pytest.mark.parametrize("repository", ["", "registry.example/team"])
def test_systemd_takes_the_service_and_its_timer(tmp_path: Path, repository: str) -> None:
    write(tmp_path / "homeport.service", "systemd", repository, sign=False)
    said = passes(
        need("systemd-analyze"), "--man=no", "verify", "./homeport.service", "./homeport.timer",
        folder=tmp_path,
    )  # fmt: skip
    assert "homeport" not in said, said
    # "OnCalendar=" of the timer, in systemd's own words.
    said = passes("systemd-analyze", "calendar", "*-*-* 04:17:00", folder=tmp_path)
    assert "04:17:00" in said


def test_prometheus_takes_the_metrics(tmp_path: Path) -> None:
    done = subprocess.run(
        [need("promtool"), "check", "metrics"], input=metrics_text(sample_report()),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
