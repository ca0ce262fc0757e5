"""A pull request against the CI jobs that audit it: its files are read, never run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from builders.ci_jobs import ROOT, component_script, composite, write_python
from builders.deb import deb
from builders.freshness import LATER
from builders.locking import World
from homeport.cli.main import run as homeport_runs
from homeport.content.digest import Digest
from homeport.locking.proof import save_proof
from homeport.recipe.lock.writing import write_lockfile

PACKAGE = deb("app", files={"usr/bin/app": b"x"})


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
    write_python(programs, tmp_path / "pip.log")
    (tmp_path / "runner").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOMEPORT")}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}


def said(script: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def run(script: str, folder: Path, environment: dict[str, str]) -> int:
    code, text = said(script, folder, environment)
    assert code in (0, 3), text
    return code


def test_the_action_runs_no_file_of_the_pull_request_and_skips_none(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    done = composite(
        ROOT / "action.yml", {"deny": "floating", "sarif": "out.sarif"}, cwd=checkout,
        temp=tmp_path / "runner", environment=environment,
    )  # fmt: skip
    assert (done.code, done.outputs) == (3, {"sarif": "out.sarif"}), done.text
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
    script = component_script("audit", {"constraints": "/ci/constraints.txt"})
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
    recipe = "image/homeport.yaml"
    if ci == "GitHub":
        done = composite(
            ROOT / "action.yml", {"recipes": recipe}, cwd=checkout, temp=tmp_path / "runner",
            environment=environment,
        )  # fmt: skip
        code = done.code
    else:
        script = component_script("verify-locks", {"recipes": recipe})
        code = run(script, checkout, {**environment, "TMPDIR": str(tmp_path / "runner")})
    assert code == (3 if forged else 0)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("ci", ["GitHub", "GitLab"])
def test_a_check_of_freshness_runs_no_file_of_the_repository(
    checkout: Path, environment: dict[str, str], tmp_path: Path, ci: str
) -> None:
    """Nor has the project file of a request a say, and a name that begins with - is a name."""
    world = locked_recipe(checkout / "-image", tmp_path)
    (checkout / "homeport.toml").write_text("[outdated]\nfail-on = 'never'\n")
    subject = "-image/homeport.yaml"
    world.publish([deb("app", "2.0-1", files={"usr/bin/app": b"y"})], date=LATER, valid_for=None)
    if ci == "GitHub":
        done = composite(
            ROOT / "fresh" / "action.yml", {"run": "check", "recipes": subject}, cwd=checkout,
            temp=tmp_path / "runner", environment=environment,
        )  # fmt: skip
        code, text = done.code, done.text
        assert done.outputs == {"sarif": "homeport-outdated.sarif", "outdated": "true"}
    else:
        script = component_script("outdated", {"subjects": subject, "constraints": "/ci/c.txt"})
        code, text = said(script, checkout, {**environment, "TMPDIR": str(tmp_path / "runner")})
    assert code == 4, text
    assert "app  1.0-1 → 2.0-1" in text
    assert "run: homeport update ./-image/homeport.yaml" in text
    assert not (tmp_path / "pwned").exists()
    hashes = f"{ROOT}/fresh/../constraints.txt" if ci == "GitHub" else "/ci/c.txt"
    assert installed(tmp_path) == [f"--require-hashes -r {hashes}", "--no-deps homeport"]


def test_the_action_takes_three_words_for_what_it_runs(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    for given in ({"run": "publish"}, {"run": "x"}):
        done = composite(
            ROOT / "fresh" / "action.yml", given, cwd=checkout, temp=tmp_path / "runner",
            environment=environment,
        )  # fmt: skip
        assert done.code == 2
        assert "::error::" in done.text


def locked_recipe(folder: Path, tmp_path: Path) -> World:
    """A recipe with its lockfile and the proof of that."""
    world = World(tmp_path, [PACKAGE], valid_for=None)
    archives = (
        f'{{name: test, suites: [trixie], mirrors: ["{world.archive.url}"], keys: [key.asc]}}'
    )
    asked = world.recipe(f"archives: [{archives}]\npackages: [app]")
    locked = world.lock(asked).lockfile
    write_lockfile(locked, world.home / "test.lock")
    assert save_proof(locked, world.home / "test.lock", asked, world.store)
    world.home.rename(folder)
    return world


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
        Path(name).write_text("image: evil.example/y:latest\n")
        arguments = [*hooks[0]["args"], name, "Dockerfile"]
        assert homeport_runs(["audit", *arguments]) == 3
    assert Path("victim.yml").read_text() == "keep\n"
    assert all("--" in hook["args"] for hook in hooks)
