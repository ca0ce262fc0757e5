"""What ``homeport policy emit --target rego`` writes, judged by buildx itself.

HOMEPORT_BUILDX names a buildx of 0.34 or newer, which Debian does not have yet: ``.ci/run --full``
compiles it. ``policy eval`` asks about one source without pulling it and adds ``.rego`` to the name
that it is given. ``build --policy`` wants BuildKit 0.27, which no Debian release has.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.buildkit_engines import running_in_chroot
from peers.test_emitted_policies import IMAGES, made

BUILDX = os.environ.get("HOMEPORT_BUILDX", "")

pytestmark = [
    pytest.mark.root,
    pytest.mark.peer("dockerd"),
    pytest.mark.skipif(not BUILDX, reason="HOMEPORT_BUILDX names no buildx; .ci/run --full does"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with running_in_chroot("sid", containerd_store=True) as running:
        yield running.address


def buildx(engine: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUILDX, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "DOCKER_HOST": engine, "HOME": str(folder)},
    )  # fmt: skip


@pytest.mark.parametrize(("default", "column"), [("warn", 2), ("reject", 3)])
def test_each_image_is_judged_as_the_policy_says(
    engine: str, tmp_path: Path, default: str, column: int
) -> None:
    (tmp_path / "policy.rego").write_text(made(tmp_path, "rego", default))
    for name, digest, *verdicts in IMAGES:
        asked = buildx(
            engine, tmp_path,
            "policy", "eval", "-f", "policy", f"docker-image://{name}:1@{digest}",
        )  # fmt: skip
        assert (asked.returncode == 0) is verdicts[column - 2], (name, asked.stderr)
        if asked.returncode:
            assert "policy denied: not an image that was verified" in asked.stderr


def test_an_engine_that_judges_no_policy_is_refused_where_it_must(
    engine: str, tmp_path: Path
) -> None:
    """The way of docs/prove.md: without ``strict`` BuildKit below 0.27 builds from any image."""
    (tmp_path / "Dockerfile").write_text("FROM r.example/a:1\n")
    (tmp_path / "policy.rego").write_text(made(tmp_path, "rego"))
    built = buildx(engine, tmp_path, "build", "--policy", "filename=policy.rego,strict=true", ".")
    assert built.returncode != 0
    assert "strict policy is not supported by the current BuildKit" in built.stderr
