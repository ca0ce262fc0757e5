"""What ``homeport pipelines`` writes, by schemas of the systems, linters and systemd itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

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


ACTIONS = ("action.yml", "fresh/action.yml")
COMPONENTS = sorted(path.parent.name for path in ROOT.glob("templates/*/template.yml"))


@pytest.mark.parametrize("action", ACTIONS)
def test_linters_find_nothing_in_the_actions(tmp_path: Path, action: str) -> None:
    shutil.copy(ROOT / action, tmp_path)
    passes(need("zizmor"), "--offline", "--no-progress", "action.yml", folder=tmp_path)
    schema = ("--builtin-schema", "vendor.github-actions")
    passes(need("check-jsonschema"), *schema, "action.yml", folder=tmp_path)


def test_a_workflow_uses_every_input_of_the_action_by_its_name(tmp_path: Path) -> None:
    """actionlint reads the inputs of an action of the same repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "fresh").mkdir()
    shutil.copy(ROOT / "fresh" / "action.yml", tmp_path / "fresh")
    workflow = tmp_path / ".github" / "workflows" / "x.yml"
    workflow.parent.mkdir(parents=True)
    names = yaml.safe_load((ROOT / "fresh" / "action.yml").read_text())["inputs"]
    given = dict.fromkeys(names, "x")
    step = {"uses": "./fresh", "id": "fresh", "with": given}
    read = {"run": "echo ${{ steps.fresh.outputs.outdated }} ${{ steps.fresh.outputs.sarif }}"}
    job = {"runs-on": "ubuntu-latest", "steps": [step, read]}
    workflow.write_text(yaml.safe_dump({"on": "push", "jobs": {"fresh": job}}))
    passes(need("actionlint"), workflow, folder=tmp_path)
    workflow.write_text(workflow.read_text().replace("fail-on", "fail_on"))
    done = subprocess.run([need("actionlint"), workflow], cwd=tmp_path, check=False)
    assert done.returncode == 1


def test_the_documented_workflow_is_valid(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "fresh.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (text,) = [block for block in blocks if "jobs:" in block]
    for used in ("homeport-project/homeport/fresh@v0.2.0", "permissions: {}"):
        assert used in text
    (tmp_path / ".git").mkdir()
    shutil.copytree(ROOT / "fresh", tmp_path / "fresh")
    workflow = tmp_path / ".github" / "workflows" / "x.yml"
    workflow.parent.mkdir(parents=True)
    # As an action of the same repository, so that its inputs are checked.
    workflow.write_text(text.replace("homeport-project/homeport/fresh@v0.2.0", "./fresh"))
    passes(need("actionlint"), workflow, folder=tmp_path)


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_is_a_gitlab_ci_file(tmp_path: Path, name: str) -> None:
    """With its inputs put in as GitLab does: a whole value keeps its type."""
    header, body = (ROOT / "templates" / name / "template.yml").read_text().split("\n---\n")
    for key, spec in yaml.safe_load(header)["spec"]["inputs"].items():
        assert spec["description"]
        body = body.replace(f"$[[ inputs.{key} ]]", str(spec.get("default") or "x"))
    assert "$[[" not in body
    (tmp_path / "job.yml").write_text(body)
    schema = ("--builtin-schema", "vendor.gitlab-ci")
    passes(need("check-jsonschema"), *schema, "job.yml", folder=tmp_path)


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
