"""Real registries on loopback, and images to send to them.

    with docker_registry(tmp_path) as url: ...      # "127.0.0.1:PORT"

``docker-registry`` is Debian's package. What it cannot do (referrers, chunk lengths) is
tested with ``builders.small_registry``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.oci import media_types
from homeport.registry.push import PushManifest, PushRequest


def need(program: str) -> str:
    """The path of a peer; without it the test is skipped here and fails in CI."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class Running:
    """A registry that runs. ``root`` is its storage, for looking behind its back."""

    host: str
    root: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def has_file(self, digest: Digest) -> bool:
        """Whether the storage holds bytes under that digest."""
        return self._data(digest).exists()

    def content(self, digest: Digest) -> bytes:
        return self._data(digest).read_bytes()

    def damaged(self) -> list[str]:
        """Blobs whose bytes are not what their name says: must always be empty."""
        found = []
        for path in self.root.glob("docker/registry/v2/blobs/sha256/*/*/data"):
            if Digest.of(path.read_bytes()).hex != path.parent.name:
                found.append(path.parent.name)
        return found

    def _data(self, digest: Digest) -> Path:
        base = self.root / "docker/registry/v2/blobs" / digest.algorithm
        return base / digest.hex[:2] / digest.hex / "data"


@contextlib.contextmanager
def docker_registry(
    folder: Path,
    *,
    htpasswd: Mapping[str, str] | None = None,
    tls: tuple[Path, Path] | None = None,
    token: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Debian's registry with the given ways in; stopped when the block ends."""
    program = need("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "test"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls[0]), "key": str(tls[1])}
    root = folder / "storage"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "delete": {"enabled": True},
        },
        "http": http,
    }
    if htpasswd is not None:
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(_htpasswd(folder, htpasswd))}}
    if token is not None:
        config["auth"] = {"token": dict(token)}
    path = folder / "config.yml"
    path.write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(path)], stdout=log, stderr=log)
    try:
        _await_port(port, process, folder / "log")
        yield Running(host=f"127.0.0.1:{port}", root=root, process=process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def crane_registry(folder: Path) -> Iterator[str]:
    """The registry inside crane, in memory; yields its host.

    Debian has crane since forky only, so it runs where HOMEPORT_CRANE or PATH has it.
    """
    program = os.environ.get("HOMEPORT_CRANE") or shutil.which("crane")
    if program is None:
        if os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail("there is no crane; HOMEPORT_CRANE names it, .ci/run brings it")
        pytest.skip("crane is not installed; HOMEPORT_CRANE may name it")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "registry", "serve", "--address", f"127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _await_port(port, process, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _htpasswd(folder: Path, users: Mapping[str, str]) -> Path:
    path = folder / "htpasswd"
    lines = [
        subprocess.run(
            [need("htpasswd"), "-niBC4", user], input=password.encode(), capture_output=True,
            check=True,
        ).stdout
        for user, password in users.items()
    ]  # fmt: skip
    path.write_bytes(b"".join(lines))
    return path


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(500):
        if process.poll() is not None:
            pytest.fail(f"the registry ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    pytest.fail("the registry does not listen")


def image(
    *layers: bytes, architecture: str = "amd64", docker: bool = False, annotation: str = ""
) -> tuple[PushManifest, dict[Digest, Blob]]:
    """An image of those layers: its manifest, and its blobs by digest."""
    config = BytesBlob(
        json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(x)) for x in layers]},
            }
        ).encode()
    )
    blobs: dict[Digest, Blob] = {config.digest: config}
    blobs |= {blob.digest: blob for blob in map(BytesBlob, layers)}
    kinds = (
        (media_types.DOCKER_MANIFEST, media_types.DOCKER_CONFIG, media_types.DOCKER_LAYER)
        if docker
        else (media_types.OCI_MANIFEST, media_types.OCI_CONFIG, media_types.OCI_LAYER)
    )
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": kinds[0],
        "config": descriptor(config, kinds[1]),
        "layers": [descriptor(BytesBlob(layer), kinds[2]) for layer in layers],
    }
    if annotation:
        document["annotations"] = {"note": annotation}
    return statement(document), blobs


def index(*images: PushManifest, architectures: tuple[str, ...] = ()) -> PushManifest:
    """An index over those manifests."""
    entries = []
    for number, one in enumerate(images):
        entry: dict[str, Any] = {
            "mediaType": one.media_type, "digest": str(one.digest), "size": len(one.raw),
        }  # fmt: skip
        if architectures:
            entry["platform"] = {"architecture": architectures[number], "os": "linux"}
        entries.append(entry)
    return statement({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": entries})


def statement(document: Mapping[str, Any]) -> PushManifest:
    raw = json.dumps(document).encode()
    return PushManifest(
        raw=raw,
        media_type=str(document["mediaType"]),
        digest=Digest.of(raw),
        refers="subject" in document,
    )


def descriptor(blob: Blob, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(blob.digest), "size": blob.size}


PLATFORMS = ("amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x")


def seven_platforms(size: int = 3000, tags: tuple[str, ...] = ("latest",)) -> PushRequest:
    """An index of seven platforms that share one layer and have one of their own."""
    shared = b"shared" * (size // 6 + 1)
    blobs: dict[Digest, Blob] = {}
    images = []
    for platform in PLATFORMS:
        own = platform.encode() * (size // len(platform) + 1)
        manifest, parts = image(shared, own, architecture=platform)
        images.append(manifest)
        blobs |= parts
    top = index(*images, architectures=PLATFORMS)
    return PushRequest(blobs=blobs, manifests=(*images, top), tags=tags)
