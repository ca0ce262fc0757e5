"""``--docker`` against a real daemon: its version, its containers, its image store."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from homeport.cli.main import run

pytestmark = [pytest.mark.peer("dockerd", "docker"), pytest.mark.root]


def test_containers_and_images_of_an_engine_are_found(
    dockerd: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dockerd)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    docker = {**os.environ, "DOCKER_HOST": dockerd}
    empty = io.BytesIO()
    with tarfile.open(fileobj=empty, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    for name in ("quay.io/team/used:1", "quay.io/team/stored:1"):
        subprocess.run(
            ["docker", "import", "-", name], input=empty.getvalue(), env=docker, check=True,
            capture_output=True,
        )  # fmt: skip
    subprocess.run(
        ["docker", "create", "--name", "c1", "--network", "none", "quay.io/team/used:1", "/a"],
        env=docker, check=True, capture_output=True,
    )  # fmt: skip
    assert run(["audit", "--docker", "--format", "json"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert [(i["image"], i["confidence"], i["uses"][0]["key"]) for i in images] == [
        ("quay.io/team/stored:1", "medium", "image store"),
        ("quay.io/team/used:1", "high", "container c1"),
    ]


def test_an_engine_that_is_not_there_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert run(["audit", "--docker"]) == 1
    assert "cannot reach the docker daemon" in capsys.readouterr().err
