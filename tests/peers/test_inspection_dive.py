"""dive's figures for an image, and ours under dive's name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from builders.inspection import directory, file, layer, made, opaque, opened, whiteout
from builders.runtime import runtime
from homeport.images.address import ArchiveAddress
from homeport.images.transports.docker_archive import DockerArchive
from homeport.inspection.report.waste import efficiency


@pytest.mark.full
@pytest.mark.peer("dive")
def test_dive_and_we_give_the_same_figures(tmp_path: Path) -> None:
    layers = [
        layer(directory("d"), file("d/x", b"x" * 400_000), file("a", b"1" * 1_000_000),
              directory("o"), file("o/y", b"y" * 300_000), file("keep", b"k" * 5000)),
        layer(file("a", b"2" * 900_000), file("new", b"n" * 70_000)),
        layer(whiteout("d"), whiteout("new"), directory("o"), opaque("o"), file("o/z", b"z" * 10)),
        layer(file("a", b"3" * 950_000)),
    ]  # fmt: skip
    address = ArchiveAddress(format="docker-archive", path=tmp_path / "a.tar", tag="a/b:1")
    DockerArchive(address).write(made(*layers), runtime())
    answer = tmp_path / "dive.json"
    subprocess.run(
        ["dive", f"docker-archive://{tmp_path}/a.tar", "--json", str(answer)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    said = json.loads(answer.read_text())["image"]
    ours = efficiency(opened(*layers).history)
    assert ours.score == pytest.approx(said["efficiencyScore"], abs=1e-9)
    assert ours.wasted_bytes == said["inefficientBytes"]
