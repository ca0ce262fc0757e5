"""Layers in zstd and eStargz, one and several in an image, are read and run by other engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peers.engines import Podman, Program, running, short_folder, wait_until
from peers.test_built_image import homeport

pytestmark = [pytest.mark.network, pytest.mark.root]

RECIPE = """\
homeport: 1
name: hello
platforms: [linux/amd64]
packages: [dash, coreutils]
layers: auto
files: [{text: "hello\\n", to: /etc/hello}]
config: {entrypoint: [/usr/bin/dash, -c, "sort /etc/hello; ls -ld /usr/share/doc"]}
"""
SAID = "hello\ndrwxr-xr-x"

each = pytest.mark.parametrize("compression", ["zstd", "estargz"])


@pytest.fixture
def image(compression: str, tmp_path: Path) -> Path:
    (tmp_path / "homeport.yaml").write_text(RECIPE)
    homeport(
        "build", ".", "--no-progress", "--no-attest", "--platform", "linux/amd64",
        "--compression", compression,
        "-o", "oci:image:latest", "-o", "oci-archive:image.tar:hello", cwd=tmp_path,
    )  # fmt: skip
    return tmp_path


@each
@pytest.mark.peer("podman", "runc")
def test_podman_runs_them(image: Path, podman: Podman) -> None:
    pulled = podman.run("pull", "--quiet", f"oci:{image}/image:latest").strip()
    assert podman.run_image(pulled).startswith(SAID)


@pytest.fixture
def ctr(tmp_path: Path) -> Iterator[Program]:
    """containerd over a store of its own, with the snapshotter that needs no mounts."""
    with short_folder() as home:
        config = home / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{home}/root"\nstate = "{home}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
            f'[grpc]\naddress = "{home}/c.sock"\n'
        )
        program = Program(("ctr", "--address", f"{home}/c.sock"))
        with running(["containerd", "--config", str(config)], tmp_path / "containerd.log"):
            wait_until(lambda: program.succeeds("version"))
            yield program


@each
@pytest.mark.peer("containerd", "ctr")
def test_containerd_unpacks_them(image: Path, ctr: Program, tmp_path: Path) -> None:
    ctr.run("images", "import", "--snapshotter", "native", str(image / "image.tar"))
    (name,) = ctr.run("images", "list", "--quiet").split()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    ctr.run("images", "mount", "--snapshotter", "native", name, str(mounted))
    try:
        assert (mounted / "etc/hello").read_text() == "hello\n"
        assert (mounted / "usr/bin/sort").stat().st_mode & 0o777 == 0o755
    finally:
        ctr.run("images", "unmount", str(mounted))
