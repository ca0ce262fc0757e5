"""``homeport home``: from public images to one's own registry in one command."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.audit import lay_out
from builders.images import image, layer
from builders.small_registry import SmallRegistry, small_registry
from homeport.app import Settings, open_app
from homeport.cli.main import run
from homeport.images.address import parse_destination

_HOME = "home.example/mirror"
_AT_HOME = f"{_HOME}/there.example/team/base:1"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    lay_out({"tree/Dockerfile": "FROM there.example/team/base:1\n"}, tmp_path)
    monkeypatch.chdir(tmp_path / "tree")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SmallRegistry]:
    """One registry under two names: theirs, which has an image, and ours."""
    with small_registry() as registry:
        for name in ("there", "home"):
            place = tmp_path / f"user/.docker/certs.d/{name}.example"
            place.mkdir(parents=True)
            (place / "hosts.toml").write_text(f'server = "http://{registry.host}"\n')
        with open_app(Settings(cache_dir=tmp_path / "cache")) as app:
            address = parse_destination(f"{registry.host}/team/base:1")
            app.destination(address).write(image(layers=[layer({"a": b"a"})]), app.runtime)
        yield registry


def _tags(registry: SmallRegistry) -> set[str]:
    return {f"{name}:{tag}" for name, tag in registry.tags}


def test_images_are_copied_and_files_edited_and_nothing_foreign_remains(
    registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["home", _HOME, "--yes"]) == 0
    said = capsys.readouterr()
    assert "+FROM home.example/mirror/there.example/team/base:1@sha256:" in said.err
    assert "import 1; 1 edit in 1 file" in said.err
    assert said.out.startswith("1 image copied, 1 edit in 1 file made\n")
    assert "0 foreign images" in said.out
    assert "mirror/there.example/team/base:1" in _tags(registry)
    text = Path("Dockerfile").read_text()
    assert text.startswith(f"FROM {_AT_HOME}@sha256:")
    assert run(["home", _HOME, "--yes", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["copied"], document["edits"], document["foreign"]) == (0, 0, [])
    assert Path("Dockerfile").read_text() == text


def test_a_dry_run_and_no_consent_copy_and_edit_nothing(
    registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _tags(registry)
    assert run(["home", _HOME, "--dry-run"]) == 0
    assert "1 edit in 1 file to make" in capsys.readouterr().out
    assert run(["home", _HOME]) == 2
    assert "need your consent" in capsys.readouterr().err
    assert Path("homeport-plan.yaml").exists()
    assert _tags(registry) == before
    assert Path("Dockerfile").read_text() == "FROM there.example/team/base:1\n"


def test_what_was_decided_in_the_plan_is_kept(registry: SmallRegistry) -> None:
    assert run(["home", _HOME, "--dry-run"]) == 0
    plan = Path("homeport-plan.yaml")
    plan.write_text(plan.read_text().replace("action: import", "action: leave"))
    assert run(["home", _HOME, "--yes"]) == 3  # it remains
    assert Path("Dockerfile").read_text() == "FROM there.example/team/base:1\n"
    assert not any(name.startswith("mirror/") for name in _tags(registry))


def test_no_file_is_edited_unless_every_image_was_copied(
    registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("compose.yaml").write_text("services: {a: {image: 'there.example/team/other:2'}}\n")
    assert run(["home", _HOME, "--dry-run"]) == 0
    plan = Path("homeport-plan.yaml")
    other = "there.example/team/other:2"
    at = plan.read_text().index(f"image: {other}")
    home = f"home: {_HOME}/there.example/team/other:2"
    text = plan.read_text()
    edited = text[at:].replace("action: leave", f"action: import\n  {home}", 1)
    plan.write_text(text[:at] + edited)
    assert run(["home", _HOME, "--yes"]) == 1
    assert "1 of 2 images were not copied; no file was edited" in capsys.readouterr().err
    assert Path("Dockerfile").read_text() == "FROM there.example/team/base:1\n"


def test_what_the_catalog_builds_must_be_at_home_first(
    registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    lay_out(
        {".github/workflows/a.yml": "jobs: {a: {steps: [{uses: docker/setup-qemu-action@v3}]}}\n"},
        Path(),
    )
    assert run(["home", _HOME, "--yes"]) == 3
    said = capsys.readouterr().err
    assert "the plan builds 1 image that your registry does not have" in said
    home = f"{_HOME}/docker.io/tonistiigi/binfmt:latest"
    assert f"homeport build binfmt --push {home}" in said
    assert Path("Dockerfile").read_text() == "FROM there.example/team/base:1\n"


def test_edits_are_made_on_a_branch(registry: SmallRegistry) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-qm", "a")
    assert run(["home", _HOME, "--yes", "--branch", "images-home"]) == 0
    assert git("branch", "--show-current") == "images-home"
    assert git("show", "main:Dockerfile") == "FROM there.example/team/base:1"
    assert git("diff", "--name-only") == "Dockerfile"
