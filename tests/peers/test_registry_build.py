"""``homeport build --push REF`` into Debian's registry, read back by skopeo."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from builders.build_push import pushing_build
from builders.registry import docker_registry
from homeport.content.digest import Digest


@pytest.mark.peer("docker-registry", "skopeo")
def test_what_was_built_and_pushed_is_what_skopeo_pulls(tmp_path: Path) -> None:
    with docker_registry(tmp_path / "registry") as registry, pushing_build(tmp_path) as build:
        ref = f"{registry.host}/team/tool:1"
        result = build.run("-q", "--push", ref)
        assert result.exit_code == 0, result.output
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{ref}"],
            check=True, capture_output=True,
        ).stdout  # fmt: skip
        subprocess.run(
            ["skopeo", "copy", "--all", "--quiet", "--src-tls-verify=false", f"docker://{ref}",
             f"oci:{tmp_path / 'back'}:1"],
            check=True,
        )  # fmt: skip
        assert registry.damaged() == []
    assert str(Digest.of(raw)) == result.stdout.strip()
    (entry,) = json.loads((tmp_path / "back/index.json").read_text())["manifests"]
    assert entry["digest"] == result.stdout.strip()
