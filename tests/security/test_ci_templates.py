"""A pull request against the CI jobs that audit it: its files are read, never run."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import homeport
from builders.deb import deb
from builders.locking import World
from homeport.cli.main import run as homeport_runs
from homeport.content.digest import Digest
from homeport.locking.proof import save_proof
from homeport.recipe.lock.writing import write_lockfile

PACKAGE = deb("app", files={"usr/bin/app": b"x"})
ROOT = Path(__file__).parent.parent.parent

#: ``python3 -m venv``, with the packages of this environment, and a pip that only notes its calls.
PYTHON = """#!/bin/sh
set -e
"{python}" "$@" --without-pip
for folder; do :; done
cd "$folder"/lib/python*/site-packages
printf '%s\\n' {paths} > installed.pth
mkdir pip
: > pip/__init__.py
printf 'import sys; open("{log}", "a").write(" ".join(sys.argv[1:]) + "\\\\n")\\n' > pip/__main__.py
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository whose files run code if a job imports them or starts in its folder."""
    folder = tmp_path / "checkout"
    hostile = f"open({str(tmp_path / 'pwned')!r}, 'w').close()\n"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("venv.py", "pip.py", "homeport.py", "sitecustomize.py", "yaml.py", "encodings.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(hostile)
    for name in (".homeport-venv", "homeport"):
        packages = folder / name / "lib" / version / "site-packages"
        packages.mkdir(parents=True)
        (packages / "x.pth").write_text(f"import os; {hostile}")
        (folder / name / "Dockerfile").write_text("FROM evil.example/x:latest\n")
    (folder / "homeport.toml").write_text('[audit]\nexclude = ["**"]\n')
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A runner whose ``python3`` installs nothing from a network."""
    programs = tmp_path / "bin"
    programs.mkdir()
    paths = [*site.getsitepackages(), str(Path(homeport.__file__).parent.parent)]
    quoted = " ".join(f"'{path}'" for path in paths)
    (programs / "python3").write_text(
        PYTHON.format(python=sys.executable, paths=quoted, log=tmp_path / "pip.log")
    )
    (programs / "python3").chmod(0o755)
    (tmp_path / "runner").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT")}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}


def run(script: str, folder: Path, environment: dict[str, str]) -> int:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return done.returncode


def test_the_action_runs_no_file_of_the_pull_request_and_skips_none(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    script = "\n".join(step["run"] for step in steps)
    given = {
        "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(tmp_path / "runner"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "VERSION": "", "RECIPES": "", "PATHS": ".", "HOME_PREFIX": "", "DENY": "floating",
        "POLICY": "", "BASELINE": "", "SARIF": "out.sarif", "PROJECT": "",
    }  # fmt: skip
    assert run(script, checkout, {**environment, **given}) == 3
    log = json.loads((checkout / "out.sarif").read_text())
    uris = [
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in log["runs"][0]["results"]
    ]
    assert uris == [".homeport-venv/Dockerfile", "homeport/Dockerfile"]
    assert not (tmp_path / "pwned").exists()
    assert installed(tmp_path) == [
        f"--require-hashes -r {ROOT}/constraints.txt",
        "--no-deps homeport",
    ]


def test_the_gitlab_component_runs_no_file_of_the_merge_request_and_skips_none(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    header, body = (ROOT / "templates/audit/template.yml").read_text().split("\n---\n")
    for name, spec in yaml.safe_load(header)["spec"]["inputs"].items():
        given = "/ci/constraints.txt" if name == "constraints" else spec.get("default")
        body = body.replace(f"$[[ inputs.{name} ]]", str(given or ""))
    script = "\n".join(yaml.safe_load(body)["homeport-audit"]["script"])
    assert run(script, checkout, {**environment, "TMPDIR": str(tmp_path / "runner")}) == 3
    report = json.loads((checkout / "gl-code-quality-report.json").read_text())
    assert {entry["location"]["path"] for entry in report} == {
        ".homeport-venv/Dockerfile", "homeport/Dockerfile"
    }  # fmt: skip
    assert not (tmp_path / "pwned").exists()
    assert installed(tmp_path) == ["--require-hashes -r /ci/constraints.txt", "--no-deps homeport"]


@pytest.mark.parametrize("forged", [False, True])
@pytest.mark.parametrize("ci", ["GitHub", "GitLab"])
def test_a_lockfile_that_differs_from_the_signed_archive_fails_the_job(
    checkout: Path, environment: dict[str, str], tmp_path: Path, ci: str, forged: bool
) -> None:
    locked_recipe(checkout / "image", tmp_path)
    if forged:
        lock = checkout / "image/test.lock"
        lock.write_text(lock.read_text().replace(Digest.of(PACKAGE).hex, "0" * 64))
    if ci == "GitHub":
        steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
        script = "\n".join(step["run"] for step in steps if step.get("id") != "audit")
        given = {
            "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(tmp_path / "runner"),
            "VERSION": "", "RECIPES": "image/homeport.yaml",
        }  # fmt: skip
    else:
        header, body = (ROOT / "templates/verify-locks/template.yml").read_text().split("\n---\n")
        for name, spec in yaml.safe_load(header)["spec"]["inputs"].items():
            value = "image/homeport.yaml" if name == "recipes" else spec.get("default", "")
            body = body.replace(f"$[[ inputs.{name} ]]", str(value))
        script = "\n".join(yaml.safe_load(body)["homeport-verify-locks"]["script"])
        given = {"TMPDIR": str(tmp_path / "runner")}
    assert run(script, checkout, {**environment, **given}) == (3 if forged else 0)
    assert not (tmp_path / "pwned").exists()


def locked_recipe(folder: Path, tmp_path: Path) -> None:
    """A recipe with its lockfile and the proof of that."""
    world = World(tmp_path, [PACKAGE], valid_for=None)
    asked = world.recipe("packages: [app]")
    locked = world.lock(asked).lockfile
    write_lockfile(locked, world.home / "test.lock")
    assert save_proof(locked, world.home / "test.lock", asked, world.store)
    world.home.rename(folder)


def installed(folder: Path) -> list[str]:
    """What pip was told to install, without its general options."""
    prefix = "install --quiet --disable-pip-version-check "
    return [line.removeprefix(prefix) for line in (folder / "pip.log").read_text().splitlines()]


def test_names_of_files_are_no_options_of_the_pre_commit_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Dockerfile").write_text("FROM evil.example/x:latest\n")
    Path("victim.yml").write_text("keep\n")
    assert homeport_runs(["audit", "--write-baseline", "b.yml", "."]) == 0
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    for name in ("--baseline=b.yml", "--write-baseline=victim.yml"):
        arguments = [*hooks[0]["args"], name, "Dockerfile"]
        assert homeport_runs(["audit", *arguments]) == 3
    assert Path("victim.yml").read_text() == "keep\n"
    assert all("--" in hook["args"] for hook in hooks)
