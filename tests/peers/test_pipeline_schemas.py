"""What ``homeport pipelines`` writes, by schemas of the systems and linters of workflows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from homeport.pipelines.generate import PipelineRequest, System, run_pipelines
from peers.test_audit_formats import need


@pytest.mark.parametrize(
    ("system", "schema"),
    [
        ("gitlab", "vendor.gitlab-ci"),
        ("github", "vendor.github-workflows"),
        ("woodpecker", "vendor.woodpecker-ci"),
    ],
)
@pytest.mark.parametrize("repository", ["", "registry.example/team"])
def test_the_jobs_are_valid(tmp_path: Path, system: System, schema: str, repository: str) -> None:
    file = tmp_path / "jobs.yml"
    run_pipelines(
        PipelineRequest(
            system=system, recipes=("one", "images/two"), image="registry.example/ci/homeport:1",
            repository=repository, file=file,
        )
    )  # fmt: skip
    command = [need("check-jsonschema"), "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [["zizmor", "--offline", "--no-progress"], ["actionlint"]])
@pytest.mark.parametrize("repository", ["", "registry.example/team"])
def test_linters_of_workflows_find_nothing(
    tmp_path: Path, repository: str, command: list[str]
) -> None:
    """zizmor looks for rights, injection and unpinned actions; actionlint for expressions."""
    file = tmp_path / ".github" / "workflows" / "homeport.yml"
    run_pipelines(
        PipelineRequest(
            system="github", recipes=("one", "images/two"), image="registry.example/ci/homeport:1",
            repository=repository, file=file,
        )
    )  # fmt: skip
    (tmp_path / ".git").mkdir()  # actionlint looks for the root of a repository
    done = subprocess.run(
        [need(command[0]), *command[1:], ".github/workflows/homeport.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
