"""An image in a real registry: looked into over the network, with what is attached to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders.images import artifact, index, layer
from builders.inspection import file, made
from builders.inspection import layer as layer_of
from builders.runtime import runtime
from homeport.cli.main import run
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout
from peers.engines import RegistryServer


@pytest.mark.peer("docker-registry")
def test_an_image_in_a_registry_is_looked_into_with_what_refers_to_it(
    registry: RegistryServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    one = made(layer_of(file("a", b"1")))
    value = index([one])
    signature = made(layer({"payload": b"signed"}))
    tag = f"{one.digest.algorithm}-{one.digest.hex}.sig"
    for name, what in (("1.0", value), (tag, signature), ("about", artifact(one))):
        OciLayout(LayoutAddress(path=tmp_path / name, tag="1")).write(what, runtime())
        remote = f"{registry.repository('app')}:{name}"
        assert run(["push", f"oci:{tmp_path}/{name}:1", remote]) == 0
    capsys.readouterr()
    address = f"docker://{registry.repository('app')}:1.0"
    assert run(["inspect", address, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["digest"] == str(value.digest)
    kinds = {(each["kind"], each["type"]) for each in found["image"]["attached"]}
    assert ("signature", "cosign signature") in kinds
    assert ("other", "application/vnd.example.report") in kinds
