"""podman and docker pull what we pushed, and push what we pull: the image is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.images import Layer, everything, image, index, layer
from builders.net import quick_client
from builders.runtime import runtime
from homeport.images.address import RegistryAddress
from homeport.images.image import Image, Index
from homeport.images.transports.registry import RegistryTransport
from homeport.oci.documents import RunConfig
from homeport.oci.platform import native_platform
from homeport.oci.reference import parse_reference
from homeport.registry.registries import Registries
from peers.engines import Podman, Program, RegistryServer

pytestmark = pytest.mark.root


@pytest.fixture
def place(registry: RegistryServer, tmp_path: Path) -> Iterator[RegistryTransport]:
    address = RegistryAddress(reference=parse_reference(f"{registry.host}/team/copy:1.0"))
    with quick_client(stall=5) as client:
        yield RegistryTransport(address, Registries(client))


def native_image(codec: str = "gzip") -> Image:
    layers: list[Layer] = [layer({"a": b"one"}, codec), layer({"b": b"two"}, codec)]
    return image(str(native_platform()), layers, config=RunConfig(labels={"who": "we"}))


def config_of(value: Image) -> str:
    return value.document.parsed.config.digest


@pytest.mark.peer("podman", "docker-registry")
@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_podman_pulls_what_we_pushed(place: RegistryTransport, podman: Podman, codec: str) -> None:
    own = native_image(codec)
    place.write(index([own, image("linux/s390x")]), runtime())
    podman.run("pull", "--tls-verify=false", str(place.address.reference))
    found = json.loads(podman.run("image", "inspect", str(place.address.reference)))[0]
    assert found["Id"] == config_of(own).removeprefix("sha256:")
    assert found["Labels"] == {"who": "we"}
    assert str(own.digest) in " ".join(found["RepoDigests"])


@pytest.mark.peer("podman", "docker-registry")
def test_we_pull_what_podman_pushed(place: RegistryTransport, podman: Podman) -> None:
    place.write(native_image(), runtime())
    name = str(place.address.reference)
    podman.run("pull", "--tls-verify=false", name)
    podman.run("push", "--tls-verify=false", name, name)
    with place.open(runtime()) as value:
        assert isinstance(value, Image)
        content = everything(value)
    assert len(content) == 4, "manifest, config, two layers"


@pytest.mark.peer("dockerd", "docker", "docker-registry")
def test_docker_pulls_what_we_pushed_and_pushes_what_we_pull(
    place: RegistryTransport, dockerd: str
) -> None:
    own = native_image()
    pushed: Image | Index = index([own, image("linux/s390x")])
    place.write(pushed, runtime())
    docker = Program(("docker",), {"DOCKER_HOST": dockerd})
    name = str(place.address.reference)
    docker.run("pull", name)
    found = json.loads(docker.run("image", "inspect", name))[0]
    assert found["Config"]["Labels"] == {"who": "we"}
    assert str(pushed.digest) in " ".join(found["RepoDigests"])
    docker.run("tag", name, f"{name}-docker")
    docker.run("push", f"{name}-docker")
    back = place.repository.manifest("1.0-docker")
    assert json.loads(back.raw)["config"]["digest"] == config_of(own)
