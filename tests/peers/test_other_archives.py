"""Recipes of old suites, backports and Ubuntu: locked from the real archives, and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from peers.engines import Podman
from peers.test_built_image import homeport

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.peer("podman", "runc")]

EXAMPLES = Path(__file__).parents[2] / "examples" / "archives"
SAID = {
    "bullseye": "11.11",
    "ubuntu": 'PRETTY_NAME="Ubuntu 24.04',
    "backports": "tmux 3.7",
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_is_built_and_runs(name: str, podman: Podman, tmp_path: Path) -> None:
    (tmp_path / "homeport.yaml").write_text((EXAMPLES / f"{name}.yaml").read_text())
    homeport("build", ".", "--no-progress", "--no-attest", "-o", "oci:image", cwd=tmp_path)
    image = podman.run("pull", "--quiet", f"oci:{tmp_path}/image:latest").strip()
    assert podman.run_image(image).startswith(SAID[name])


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(SAID)
