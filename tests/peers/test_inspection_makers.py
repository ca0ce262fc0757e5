"""Images made by docker, podman, buildah and umoci: each layer's part and the waste come out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.runtime import runtime
from homeport.images.address import parse_source
from homeport.images.image import Image
from homeport.images.transports.select import source_for
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.inspection.report.builder import history_rows, report_image
from homeport.inspection.report.waste import find_waste
from peers.engines import Podman, Program, short_folder

DOCKERFILE = 'FROM scratch\nCOPY one /data/file\nLABEL who=we\nCOPY two /data/file\nCMD ["/x"]\n'


@contextlib.contextmanager
def looked_into(address: str) -> Iterator[OpenedImage]:
    source = source_for(parse_source(address), None)  # type: ignore[arg-type]  # no registry here
    with source.open(runtime()) as value:
        assert isinstance(value, Image)
        yield open_layers(value, runtime())


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "one").write_text("1" * 1000)
    (folder / "two").write_text("2" * 500)
    return folder


def check(opened: OpenedImage) -> None:
    """What the Dockerfile did, whoever built it."""
    did = [{c.path.decode(): c.action for c in changes} for changes in opened.history.changes]
    assert did[0]["data/file"] == "added"
    assert did[-1]["data/file"] == "changed"
    assert find_waste(opened.history).size == 1000
    assert opened.read([b"data/file"])[b"data/file"] == b"2" * 500
    report = report_image(opened)
    assert report.config["Labels"]["who"] == "we"
    steps = list(history_rows(opened.config.history, opened.history.listings))
    copies = [step.layer for step in steps if "COPY" in step.command or "one" in step.command]
    assert copies[:1] == [0]


@pytest.mark.root
@pytest.mark.peer("podman", "runc")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_build(podman: Podman, context: Path, tmp_path: Path, form: str) -> None:
    podman.run("build", "--layers", "--network", "none", "--tag", "made:1", str(context))
    podman.run("save", "--format", form, "--output", f"{tmp_path}/made.tar", "made:1")
    with looked_into(f"{form}:{tmp_path}/made.tar") as opened:
        check(opened)


@pytest.mark.root
@pytest.mark.peer("buildah")
@pytest.mark.parametrize("form", ["oci", "docker"])
def test_buildah(context: Path, tmp_path: Path, form: str) -> None:
    with short_folder() as storage:
        buildah = Program(
            ("buildah", "--root", f"{storage}/graph", "--runroot", f"{storage}/run",
             "--storage-driver", "vfs"),
            {"BUILDAH_ISOLATION": "chroot"},
        )  # fmt: skip
        buildah.run("bud", "--layers", "--format", form, "--tag", "made:1", str(context))
        buildah.run("push", "--format", "v2s2" if form == "docker" else "oci", "made:1",
                    f"oci:{tmp_path}/made:1")  # fmt: skip
    with looked_into(f"oci:{tmp_path}/made:1") as opened:
        check(opened)


@pytest.mark.root
@pytest.mark.peer("docker", "dockerd")
def test_docker_build_and_save(dockerd: str, context: Path, tmp_path: Path) -> None:
    docker = Program(("docker",), {"DOCKER_HOST": dockerd, "DOCKER_BUILDKIT": "0"})
    docker.run("build", "--tag", "made:1", str(context))
    docker.run("save", "--output", f"{tmp_path}/made.tar", "made:1")
    with looked_into(f"docker-archive:{tmp_path}/made.tar") as opened:
        check(opened)


@pytest.mark.peer("umoci")
def test_umocis_whiteouts_and_opaque_directories(umoci: Program, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/a").write_text("a" * 100)
    (tree / "d/b").write_text("b" * 100)
    (tree / "gone").write_text("g" * 50)
    layout = f"{tmp_path}/layout"
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    umoci.run("init", "--layout", layout)
    umoci.run("new", "--image", f"{layout}:1")
    umoci.run("insert", *rootless, "--image", f"{layout}:1", str(tree), "/t")
    umoci.run("insert", *rootless, "--image", f"{layout}:1", "--whiteout", "/t/gone")
    (tree / "d/b").unlink()
    (tree / "d/c").write_text("c")
    umoci.run("insert", *rootless, "--image", f"{layout}:1", "--opaque", str(tree / "d"), "/t/d")
    with looked_into(f"oci:{layout}:1") as opened:
        assert {path for path in opened.history.final if path.startswith(b"t/")} == {
            b"t/d", b"t/d/a", b"t/d/c",
        }  # fmt: skip
        waste = find_waste(opened.history)
        assert waste.by_cause == {"hidden": 200, "removed": 50}
