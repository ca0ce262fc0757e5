"""The registry as one of the places of images, and runs that are cut short at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.images import artifact, attestation_of, everything, image, index, layer
from builders.net import quick_client
from builders.registry import Running, docker_registry
from builders.runtime import runtime
from homeport.app import Settings, open_app
from homeport.errors import UsageError
from homeport.images.address import LayoutAddress, RegistryAddress, parse_destination
from homeport.images.image import Image, ImageNotFound, Index, child_of, new_index
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.registry import RegistryTransport
from homeport.oci.reference import parse_reference
from homeport.registry.registries import Registries

pytestmark = pytest.mark.peer("docker-registry")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def make(registry: Running, tmp_path: Path) -> Iterator[Callable[[str], RegistryTransport]]:
    with quick_client(stall=5) as client:
        registries = Registries(client)

        def transport(name: str) -> RegistryTransport:
            address = RegistryAddress(reference=parse_reference(f"{registry.host}/{name}"))
            return RegistryTransport(address, registries)

        yield transport


def attested() -> Index:
    images = [image("linux/amd64"), image("linux/arm64")]
    return new_index([*map(child_of, images), *map(attestation_of, images)])


VALUES: dict[str, Callable[[], Image | Index]] = {
    "an image": image,
    "an image of Docker's": lambda: image(docker=True),
    "a zstd layer": lambda: image(layers=[layer({"a": b"a"}, "zstd")]),
    "no layers": lambda: image(layers=[]),
    "the same layer twice": lambda: image(layers=[layer({"a": b"a"})] * 2),
    "seven platforms": index,
    "Docker's list": lambda: index(docker=True),
    "attestations": attested,
    "an index in an index": lambda: index([index([image()]), image("linux/arm64")]),
    "an artifact": artifact,
    "an artifact about an image": lambda: artifact(image()),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_round_trip_keeps_every_byte_and_digest(
    make: Callable[[str], RegistryTransport], name: str
) -> None:
    value = VALUES[name]()
    place = make(f"trip/{list(VALUES).index(name)}:1")
    assert place.write(value, runtime()).digest == value.digest
    with place.open(runtime()) as found:
        assert found.digest == value.digest
        assert everything(found) == everything(value)
    again = place.write(value, runtime())
    assert again.copied == 0


def test_what_is_not_there_is_said(make: Callable[[str], RegistryTransport]) -> None:
    make("there:1.0").write(image(), runtime())
    with (
        pytest.raises(ImageNotFound, match=r"tag not found: .*:1\.1") as caught,
        make("there:1.1").open(runtime()),
    ):
        pass
    assert "1.0" in str(caught.value.hint)


def test_a_destination_with_a_digest_takes_only_that(
    make: Callable[[str], RegistryTransport],
) -> None:
    value = image()
    make(f"exact@{value.digest}").write(value, runtime())
    with make(f"exact@{value.digest}").open(runtime()) as found:
        assert found.digest == value.digest
    with pytest.raises(UsageError, match="but the destination names"):
        make("exact@sha256:" + "0" * 64).write(value, runtime())


def test_the_python_api_takes_five_lines(registry: Running, tmp_path: Path) -> None:
    """As docs/registry.md shows it."""
    value = index()
    settings = Settings(cache_dir=tmp_path / "cache")
    with open_app(settings) as app:
        app.destination(parse_destination(f"{registry.host}/api:1.0")).write(value, runtime())
    with open_app(settings) as app, app.open_image(f"{registry.host}/api:1.0") as found:
        app.destination(parse_destination(f"oci:{tmp_path}/copy")).write(found, runtime())
    with OciLayout(LayoutAddress(path=tmp_path / "copy", tag="latest")).open(runtime()) as back:
        assert back.digest == value.digest


def homeport(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "homeport", *arguments, "-q", "--cache-dir", f"{tmp_path}/cache"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> int:
    process.communicate()
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_cut_short_goes_on_when_it_is_run_again(
    registry: Running, tmp_path: Path, number: signal.Signals
) -> None:
    big = [layer({str(n): os.urandom(3 << 20)}, "none") for n in range(4)]
    value = image(layers=big)
    OciLayout(LayoutAddress(path=tmp_path / "ours", tag="1")).write(value, runtime())
    name = f"{registry.host}/cut/{number.name.lower()}:1"
    for command in (
        ["push", f"oci:{tmp_path}/ours:1", name],
        ["pull", name, f"oci:{tmp_path}/back:1"],
    ):
        for delay in (0.25, 0.4, 0.5, 0.6):
            process = homeport(tmp_path, *command)
            time.sleep(delay)
            process.send_signal(number)
            assert end(process) in (0, 130, -number)
            assert registry.damaged() == []
        assert end(homeport(tmp_path, *command)) == 0
    with OciLayout(LayoutAddress(path=tmp_path / "back", tag="1")).open(runtime()) as back:
        assert everything(back) == everything(value)
