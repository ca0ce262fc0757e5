"""An image that readers understand differently is copied with a warning, and never pushed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.images import image
from builders.runtime import runtime
from builders.small_registry import SmallRegistry, small_registry
from homeport.cli.main import homeport
from homeport.content.digest import Digest
from homeport.images.address import LayoutAddress
from homeport.images.ambiguity import AmbiguousImage, ambiguities
from homeport.images.transports.oci_layout import OciLayout


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with small_registry() as found:
        yield found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def layout(root: Path, document: str) -> str:
    """An image in a layout with one key more in its ``manifest`` or ``config``."""
    value = image()
    OciLayout(LayoutAddress(path=root, tag="1")).write(value, runtime())

    def put(raw: bytes) -> dict[str, str | int]:
        digest = Digest.of(raw)
        (root / "blobs/sha256" / digest.hex).write_bytes(raw)
        return {"digest": str(digest), "size": len(raw)}

    def twice(raw: bytes, key: str) -> bytes:
        more = json.dumps({key: json.loads(raw)[key.lower()]})[1:-1]
        return raw[:-1] + b"," + more.encode() + b"}"

    manifest = json.loads(value.document.raw)
    raw = value.document.raw
    if document == "config":
        config = (root / "blobs/sha256" / manifest["config"]["digest"][7:]).read_bytes()
        manifest["config"].update(put(twice(config, "Rootfs")))
        raw = json.dumps(manifest).encode()
    else:
        raw = twice(raw, "Layers")
    index = json.loads((root / "index.json").read_text())
    index["manifests"][0].update(put(raw))
    (root / "index.json").write_text(json.dumps(index))
    return f"oci:{root}:1"


@pytest.mark.parametrize(
    ("document", "keys"), [("manifest", "layers, Layers"), ("config", "rootfs, Rootfs")]
)
def test_it_is_not_pushed(
    document: str, keys: str, registry: SmallRegistry, tmp_path: Path
) -> None:
    source = layout(tmp_path / "layout", document)
    result = run("push", source, f"{registry.host}/a:1")
    assert isinstance(result.exception, AmbiguousImage)
    assert result.exception.what.startswith(f"the {document} sha256:")
    assert result.exception.what.endswith(f"keys that readers understand differently: {keys}")
    assert run("tags", f"{registry.host}/a").exit_code == 1, "nothing was sent"


def test_a_copy_is_byte_for_byte_and_warns(registry: SmallRegistry, tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", "manifest")
    result = run("mirror", source, f"{registry.host}/a:1")
    assert result.exit_code == 0
    assert "warning: the manifest sha256:" in result.stderr
    pulled = run("pull", f"{registry.host}/a:1", f"oci:{tmp_path / 'copy'}")
    assert pulled.exit_code == 0
    assert "warning: the manifest sha256:" in pulled.stderr
    digest = json.loads((tmp_path / "copy/index.json").read_text())["manifests"][0]["digest"]
    assert (
        digest == json.loads((tmp_path / "layout/index.json").read_text())["manifests"][0]["digest"]
    )


def test_inspect_says_it_and_its_rules_fail(registry: SmallRegistry, tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", "manifest")
    found = json.loads(run("inspect", source, "--format", "json").stdout)
    (anomaly,) = [one for one in found["image"]["anomalies"] if one["kind"] == "ambiguous document"]
    assert anomaly["examples"][0].endswith("layers, Layers")
    assert run("inspect", source, "--ci", "--rule", "max-size=1GB").exit_code


def test_it_is_not_verified(registry: SmallRegistry, tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", "config")
    result = run("verify", source, "--identity", "me", "--issuer", "https://issuer.example")
    assert isinstance(result.exception, AmbiguousImage)


def test_what_homeport_writes_is_understood_by_all() -> None:
    assert list(ambiguities(image())) == []
