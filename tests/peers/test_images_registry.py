"""The suite of all places of images, for the one that needs a server: a real registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.images import SEVEN, everything, image, index, layer
from builders.runtime import runtime
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress, parse_destination
from homeport.images.copy import copy
from homeport.images.image import Image, ImageNotFound, Index
from homeport.images.platforms import platforms_of
from homeport.images.transports.base import Transport
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.registry import RegistryTransport
from homeport.net.client import Client
from homeport.registry.registries import Registries
from images.homes import HOMES, Home
from images.transports.test_every_transport import (
    ARTIFACTS,
    IMAGES,
    INDEXES,
    blobs_of,
    broken,
    damage,
)
from peers.engines import RegistryServer

pytestmark = pytest.mark.peer("docker-registry")

Place = Callable[..., Transport]
CASES = {**IMAGES, **INDEXES, **ARTIFACTS}


@pytest.fixture
def place(registry: RegistryServer, tmp_path: Path) -> Iterator[Place]:
    """Transports for tags of one repository, each with a cache that knows nothing yet."""
    with Client() as client:

        def make(tag: str, repository: str = "team/copy") -> Transport:
            address = parse_destination(f"docker://{registry.repository(repository)}:{tag}")
            return RegistryTransport(address, Registries(client))  # type: ignore[arg-type]

        yield make


def read(place: Transport) -> tuple[str, dict[str, bytes]]:
    with place.open(runtime()) as value:
        return str(value.digest), everything(value)


@pytest.mark.parametrize("name", CASES)
def test_a_round_trip_keeps_every_byte_and_digest(name: str, place: Place) -> None:
    value = CASES[name]()
    written = place("1.0").write(value, runtime())
    assert written.digest == value.digest
    assert read(place("1.0")) == (str(value.digest), everything(value))


def test_writing_the_same_again_sends_no_blob(place: Place) -> None:
    value = index()
    assert place("1.0").write(value, runtime()).copied > 0
    assert place("1.0").write(value, runtime()).copied_bytes == 0


def test_a_tag_that_is_not_there_is_named(place: Place) -> None:
    place("1.0").write(image(), runtime())
    with pytest.raises(ImageNotFound, match=r"1\.1"), place("1.1").open(runtime()):
        pass


# Not "longer": of such a blob just the bytes that its descriptor speaks of are sent.
@pytest.mark.parametrize("fault", ["changed", "shorter", "empty", "unreadable"])
def test_a_part_that_goes_wrong_on_the_way_is_named_and_the_old_image_stays(
    fault: str, place: Place
) -> None:
    old = image(layers=[layer({"a": b"old"})])
    new = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    for position in range(3):
        target = place("1.0", f"team/copy-{position}")
        target.write(old, runtime())
        value, digest = broken(new, position, fault)
        with pytest.raises(HomeportError) as caught:
            target.write(value, runtime())
        assert digest in f"{caught.value.what} {caught.value.where}"
        assert read(target) == (str(old.digest), everything(old))
        target.write(new, runtime())
        assert read(place("1.0", f"team/copy-{position}"))[0] == str(new.digest)


@pytest.mark.parametrize("kind", ["by digest", "by size", "missing"])
def test_of_a_layout_with_any_damaged_part_nothing_is_tagged(
    kind: str, place: Place, tmp_path: Path
) -> None:
    value: Image | Index = index([image(), index([image("linux/arm64")])])
    source = OciLayout(LayoutAddress(path=tmp_path / "source"))
    source.write(value, runtime())
    for n, blob in enumerate(blobs_of(tmp_path / "source")):
        target = place("1.0", f"team/damaged-{n}")
        good = blob.read_bytes()
        damage(blob, kind)
        with pytest.raises(HomeportError) as caught:
            copy(source, target, runtime())
        assert blob.name in f"{caught.value.what} {caught.value.where}"
        blob.write_bytes(good)
        with pytest.raises(ImageNotFound), target.open(runtime()):
            pass


@pytest.mark.parametrize("home", HOMES, ids=str)
def test_an_image_goes_through_the_registry_from_and_to_every_place(
    home: Home, place: Place, tmp_path: Path
) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    value = image(layers=[layer({"a": b"a"}), layer({"b": b"b"}, "zstd")], docker=True)
    source, target = home.make(tmp_path / "from", "1.0"), home.make(tmp_path / "to", "2.0")
    source.write(value, runtime())
    assert copy(source, place("1.0"), runtime()).digest == value.digest
    assert copy(place("1.0"), target, runtime()).digest == value.digest
    assert read(target) == (str(value.digest), everything(value))


def test_a_choice_of_platforms_is_copied_as_chosen(place: Place, tmp_path: Path) -> None:
    place("1.0").write(index(), runtime())
    target = OciLayout(LayoutAddress(path=tmp_path / "target"))
    copy(place("1.0"), target, runtime(), platforms=SEVEN[:2])
    with target.open(runtime()) as found:
        assert platforms_of(found) == list(SEVEN[:2])
