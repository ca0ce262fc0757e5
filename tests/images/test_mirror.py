"""What ``homeport mirror`` says that it copied, with signatures and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from builders.images import image, layer
from builders.small_registry import SmallRegistry, small_registry
from homeport.app import Settings, open_app
from homeport.cli.main import homeport
from homeport.images.address import parse_destination
from homeport.images.image import Image


@pytest.fixture
def registries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[SmallRegistry, SmallRegistry]]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with small_registry() as source, small_registry() as destination:
        yield source, destination


def put(registry: SmallRegistry, value: Image, tag: str, folder: Path) -> None:
    with open_app(Settings(cache_dir=folder / "cache")) as app:
        address = parse_destination(f"{registry.host}/a:{tag}")
        app.destination(address).write(value, app.runtime)


def mirror(source: SmallRegistry, destination: SmallRegistry, *options: str) -> dict[str, Any]:
    arguments = [
        "mirror", f"{source.host}/a:1", f"{destination.host}/b:1", "--referrers",
        "--format", "json", *options,
    ]  # fmt: skip
    result = CliRunner().invoke(homeport, arguments)
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout)["images"]
    return {name: found[name] for name in ("copied", "copied_bytes", "present") if name in found}


def test_blobs_of_signatures_are_counted_once_and_as_the_dry_run_said(
    registries: tuple[SmallRegistry, SmallRegistry], tmp_path: Path
) -> None:
    """The signature shares a layer with the image; two blobs are its own."""
    source, destination = registries
    shared = layer({"a": b"a"})
    value = image(layers=[shared])
    signature = image(layers=[shared, layer({"b": b"b"})])
    put(source, value, "1", tmp_path)
    put(source, signature, f"sha256-{value.digest.hex}.sig", tmp_path)
    blobs = {str(one.digest): one.size for one in (*value.content(), *signature.content())}

    planned = mirror(source, destination, "--dry-run")
    assert planned == {"copied": len(blobs), "copied_bytes": sum(blobs.values())}
    assert mirror(source, destination) == {**planned, "present": 0}
    assert mirror(source, destination) == {
        "copied": 0, "copied_bytes": 0, "present": len(blobs)
    }  # fmt: skip
