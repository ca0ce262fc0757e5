"""The recipe ``sbom-scanner`` as the generator of a real BuildKit, with core and extras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.registry import need
from peers.buildkit_engines import RunningEngine, running_in_chroot
from peers.engines import running, wait_until

pytestmark = [
    pytest.mark.peer("docker-registry", "ip", "nsenter"),
    pytest.mark.root,
    pytest.mark.network,
]
HOST = "127.0.0.1:5000"
DOCKERFILE = """\
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true
FROM scratch AS build
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY build /
FROM scratch
COPY root /
COPY --from=build /etc/alpine-release /srv/
"""
STATUS = """\
Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.41-12+deb13u3
"""
APK = "P:musl\nV:1.2.5-r9\nA:x86_64\nL:MIT\no:musl\n\n"
FILES = {
    "Dockerfile": DOCKERFILE,
    "root/etc/os-release": 'ID=debian\nVERSION_ID="13"\n',
    "root/var/lib/dpkg/status": STATUS,
    "root/srv/own": "x",
    "build/lib/apk/db/installed": APK,
    "build/etc/alpine-release": "3.22.1\n",
}


@pytest.fixture(scope="module")
def engine() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True, bridge=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def scanner(engine: RunningEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, in a registry beside the engine."""
    folder = tmp_path_factory.mktemp("scanner")
    config = {
        "version": 0.1, "http": {"addr": HOST, "secret": "test"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
    }  # fmt: skip
    (folder / "config.yml").write_text(json.dumps(config))
    assert engine.process is not None
    inside = ("nsenter", "--target", str(engine.process.pid), "--net")
    server = [*inside, need("docker-registry"), "serve", str(folder / "config.yml")]
    homeport("build", "sbom-scanner", "--locked", "-o", f"oci:{folder / 'layout'}",
             "--platform", "native")  # fmt: skip
    with running(server, folder / "log"):
        push = [*inside, sys.executable, "-m", "homeport", "push", f"oci:{folder / 'layout'}",
                f"docker://{HOST}/scanner:1"]  # fmt: skip
        wait_until(lambda: subprocess.run(push, capture_output=True, check=False).returncode == 0)
        yield f"{HOST}/scanner:1"


def homeport(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def statements(layout: Path) -> list[dict[str, Any]]:
    """The SBOMs that an index in a layout holds."""
    blobs = layout / "blobs/sha256"

    def read(descriptor: dict[str, Any]) -> Any:
        return json.loads((blobs / descriptor["digest"].partition(":")[2]).read_bytes())

    (top,) = json.loads((layout / "index.json").read_text())["manifests"]
    return [
        read(layer)
        for entry in read(top)["manifests"]
        if entry.get("annotations", {}).get("vnd.docker.reference.type") == "attestation-manifest"
        for layer in read(entry)["layers"]
        if layer["annotations"]["in-toto.io/predicate-type"] == "https://spdx.dev/Document"
    ]


def build(engine: RunningEngine, scanner: str, folder: Path, out: str) -> list[dict[str, Any]]:
    for name, text in FILES.items():
        path = folder / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    homeport(
        "solve", str(folder / "context"), "--engine", engine.address, "--no-cache",
        "--attest", f"sbom,generator={scanner},LEVEL=debug", "-o", f"oci:{folder / out}",
    )  # fmt: skip
    return statements(folder / out)


def test_core_and_extras_are_scanned_on_a_real_engine(
    engine: RunningEngine, scanner: str, tmp_path: Path
) -> None:
    built = build(engine, scanner, tmp_path, "out")
    found = {one["predicate"]["name"]: one for one in built}
    assert sorted(found) == ["sbom", "sbom-build", "sbom-context"]
    document = found["sbom"]["predicate"]
    names = {one["name"]: one.get("versionInfo") for one in document["packages"]}
    assert names["libc6"] == "2.41-12+deb13u3"
    assert any("musl" in one["name"] for one in found["sbom-build"]["predicate"]["packages"])
    assert any(one.startswith("Tool: homeport-") for one in document["creationInfo"]["creators"])
    files = {one["fileName"]: one for one in document["files"]}
    assert files["./srv/own"]["comment"].startswith("layerID: sha256:")  # BuildKit found it


def test_an_engine_gets_the_same_document_again(
    engine: RunningEngine, scanner: str, tmp_path: Path
) -> None:
    first, second = (build(engine, scanner, tmp_path, out) for out in ("one", "two"))
    for statement in (*first, *second):
        for file in statement["predicate"]["files"]:
            # BuildKit's: digests of layers, which have the times of directories that it makes.
            assert file.pop("comment", "layerID: of no layer").startswith("layerID: ")
    assert [one["predicate"] for one in first] == [one["predicate"] for one in second]
