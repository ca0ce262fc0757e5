"""An attestation manifest whose ``layers`` is null, as BuildKit writes it for an empty scan.

A generator of SBOMs that writes nothing leaves it (seen with dockerd 28.5, BuildKit 0.25).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.inspection import file, layer, made
from builders.runtime import runtime
from builders.small_registry import Manifest, SmallRegistry, small_registry
from homeport.cli.main import run
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``./built``, tag 1: an image and its attestation manifest with null layers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "built"
    OciLayout(LayoutAddress(path=folder, tag="0")).write(made(layer(file("a", b"1"))), runtime())
    (platform,) = json.loads((folder / "index.json").read_text())["manifests"]
    image = {key: platform[key] for key in ("mediaType", "digest", "size")}
    image["platform"] = {"os": "linux", "architecture": "amd64"}
    config = _put(folder, {"architecture": "unknown", "os": "unknown", "config": {},
                           "rootfs": {"type": "layers", "diff_ids": None}})  # fmt: skip
    attests = _put(
        folder,
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": None,
        },
    )
    attests |= {
        "mediaType": _MANIFEST,
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        },
    }
    index = _put(folder, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [image, attests]})
    named = {"mediaType": _INDEX, **index,
             "annotations": {"org.opencontainers.image.ref.name": "1"}}  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return folder


def _put(folder: Path, document: Any) -> dict[str, Any]:
    data = json.dumps(document).encode()
    name = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / name).write_bytes(data)
    return {"digest": f"sha256:{name}", "size": len(data)}


@pytest.fixture
def registry(layout: Path) -> Iterator[SmallRegistry]:
    """A registry that has the same image as ``team/built:1``."""
    with small_registry() as served:
        for path in (layout / "blobs/sha256").iterdir():
            data, digest = path.read_bytes(), f"sha256:{path.name}"
            served.blobs["team/built", digest] = data
            if data.startswith(b'{"schemaVersion"') or b'"schemaVersion"' in data[:40]:
                kind = _INDEX if b'"manifests"' in data else _MANIFEST
                served.manifests["team/built", digest] = Manifest(raw=data, media_type=kind)
                if kind == _INDEX:
                    served.tags["team/built", "1"] = digest
        yield served


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize(
    "command",
    [
        ["inspect", "oci:built:1"],
        ["inspect", "oci:built:1", "--format", "json"],
        ["sbom", "oci:built:1"],
        ["manifest", "oci:built:1", "--platform", "linux/amd64"],
        ["diff", "oci:built:1", "oci:built:1"],
        ["validate", "oci:built:1"],
        ["pull", "oci:built:1", "oci-archive:copy.tar"],
    ],
    ids=" ".join,
)
def test_an_image_beside_it_is_read(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 0, capsys.readouterr().err
    capsys.readouterr()


def test_it_is_copied_as_it_is(registry: SmallRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"{registry.host}/team/built:1"
    assert run(["inspect", source]) == 0, capsys.readouterr().err
    assert run(["mirror", source, f"{registry.host}/mirror/built:1"]) == 0, capsys.readouterr().err
    assert run(["push", "oci:built:1", f"{registry.host}/pushed/built:1"]) == 0
    capsys.readouterr()
    digest = registry.tags["team/built", "1"]
    assert registry.tags["mirror/built", "1"] == digest
    assert registry.tags["pushed/built", "1"] == digest
