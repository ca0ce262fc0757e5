"""BuildKit's own frontend, compiled from Debian's packages (examples/dockerfile-frontend)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from builders.registry import docker_registry
from peers.buildkit_engines import running_in_chroot

pytestmark = [
    pytest.mark.peer("docker-registry", "busybox"),
    pytest.mark.root,
    pytest.mark.network,
    pytest.mark.full,  # 15 minutes: a build root of 3 GB, and Go's compiler
]
EXAMPLE = Path(__file__).parents[2] / "examples/dockerfile-frontend"
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


def test_the_frontend_that_debian_compiles_builds_a_dockerfile(tmp_path: Path) -> None:
    with (
        running_in_chroot("sid", containerd_store=True) as engine,
        docker_registry(tmp_path / "registry") as registry,
    ):
        frontend = f"{registry.host}/dockerfile:1"
        homeport("build", str(EXAMPLE), "--locked", "--no-attest", "--engine", engine.address,
                 "-o", f"oci:{tmp_path}/image")  # fmt: skip
        homeport("push", f"oci:{tmp_path}/image", f"docker://{frontend}")
        context = tmp_path / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE.format(frontend=frontend))
        shutil.copy(str(shutil.which("busybox")), context / "busybox")
        homeport("solve", str(context), "--engine", engine.address, "-o", f"tar:{tmp_path}/out.tar")
    with tarfile.open(tmp_path / "out.tar") as archive:
        told = archive.extractfile("told")
        assert told is not None
        assert told.read() == b"hello from a heredoc\nbusybox\n"
