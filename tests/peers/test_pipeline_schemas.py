"""What ``homeport pipelines`` writes, by check-jsonschema's schemas of GitLab and GitHub."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from homeport.pipelines.generate import PipelineRequest, System, run_pipelines
from peers.test_audit_formats import need


@pytest.mark.parametrize(
    ("system", "schema"), [("gitlab", "vendor.gitlab-ci"), ("github", "vendor.github-workflows")]
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
