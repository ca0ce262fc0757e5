"""BuildKit's own frontend, compiled from Debian's packages: the catalog's dockerfile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from builders.registry import docker_registry
from peers.buildkit_engines import CHROOTS, RunningEngine, running_in_chroot

pytestmark = [
    pytest.mark.peer("docker-registry", "busybox"),
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.full,  # 15 minutes: a build root of 3 GB, and Go's compiler
]
RECIPES = ("dockerfile", "dockerfile-1.7")
DOCKERFILE = """\
# syntax={frontend}
FROM scratch AS base
COPY --link --chmod=755 busybox /bin/busybox
FROM base
SHELL ["/bin/busybox", "sh", "-c"]
COPY <<EOF /etc/motd
hello from a heredoc
EOF
RUN --network=none --mount=type=bind,from=base,target=/b --mount=type=tmpfs,target=/tmp <<EOF
/bin/busybox cat /etc/motd > /told
/bin/busybox ls /b/bin >> /told
EOF
"""


def homeport(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def called(request: str, engine: RunningEngine, context: Path) -> str:
    """What the frontend answers buildx's subrequest."""
    root = Path(os.environ[CHROOTS], "sid")
    home = Path(engine.address.removeprefix("unix://")).parent
    shutil.copytree(context, home / "context", dirs_exist_ok=True)
    inside = f"/tmp/{home.name}"
    done = subprocess.run(
        ["chroot", str(root), "env", f"DOCKER_HOST=unix://{inside}/docker.sock", "docker", "buildx",
         "build", f"--call={request},format=json", f"{inside}/context"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # With 1 buildx says that lint found something.
    assert done.returncode in ((0, 1) if request == "lint" else (0,)), done.stderr
    return done.stdout


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_frontend_that_debian_compiles_builds_a_dockerfile(recipe: str, tmp_path: Path) -> None:
    with (
        running_in_chroot("sid", containerd_store=True) as engine,
        docker_registry(tmp_path / "registry") as registry,
    ):
        frontend = f"{registry.host}/dockerfile:1"
        homeport("build", recipe, "--locked", "--no-attest", "--platform", "native",
                 "--engine", engine.address, "-o", f"oci:{tmp_path}/image")  # fmt: skip
        homeport("test", recipe, "--platform", "native")
        homeport("push", f"oci:{tmp_path}/image", f"docker://{frontend}")
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE.format(frontend=frontend))
        shutil.copy(str(shutil.which("busybox")), context / "busybox")
        homeport("solve", str(context), "--engine", engine.address, "-o", f"tar:{tmp_path}/out.tar")
        (context / "Dockerfile").write_text(
            f"# syntax={frontend}\nfrom scratch AS base\n"
            "FROM base AS last\nARG version=7\nCOPY busybox /$version\n"
        )
        outline = called("outline", engine, context)
        # 1.7 knows no checks.
        lint = called("lint", engine, context) if recipe == "dockerfile" else None
    assert [each["name"] for each in json.loads(outline)["args"]] == ["version"], outline
    if lint is not None:
        rules = [each["ruleName"] for each in json.loads(lint)["warnings"]]
        assert sorted(rules) == ["ConsistentInstructionCasing", "FromAsCasing"]
    with tarfile.open(tmp_path / "out.tar") as archive:
        told = archive.extractfile("told")
        assert told is not None
        assert told.read() == b"hello from a heredoc\nbusybox\n"
