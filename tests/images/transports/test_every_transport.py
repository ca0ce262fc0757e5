"""One suite for all transports: what ``images.transports.base`` promises holds in each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec.structs import replace

from builders.images import (
    SEVEN,
    artifact,
    attestation_of,
    everything,
    image,
    index,
    layer,
)
from builders.runtime import runtime
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, Interrupted
from homeport.images.address import LayoutAddress
from homeport.images.copy import copy
from homeport.images.image import Image, ImageNotFound, Index, child_of, new_index
from homeport.images.platforms import platforms_of, select
from homeport.images.transports.base import Transport
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import parse_platform
from homeport.progress import CancelToken
from images.homes import HOMES, Home


def with_attestations() -> Index:
    images = [image("linux/amd64"), image("linux/arm64"), image("linux/s390x")]
    return new_index([*map(child_of, images), *map(attestation_of, images)])


IMAGES = {
    "an OCI image": image,
    "an image of Docker's schema 2": lambda: image(docker=True),
    "a zstd layer": lambda: image(layers=[layer({"a": b"a"}, "zstd")]),
    "an uncompressed layer": lambda: image(layers=[layer({"a": b"a"}, "none")]),
    "no layers at all": lambda: image(layers=[]),
    "a layer with nothing in it": lambda: image(layers=[layer({})]),
    "the same layer twice": lambda: image(layers=[layer({"a": b"a"})] * 2),
    "annotations in every script": lambda: image(annotations={"é": "ü€", "x": '<&>"\\\u2028'}),
    "a layer of two megabytes": lambda: image(layers=[layer({"a": bytes(2 << 20)}, "none")]),
}
INDEXES = {
    "seven platforms that share a layer": index,
    "Docker's manifest list": lambda: index(docker=True),
    "attestations": with_attestations,
    "an index inside an index": lambda: index([index([image()]), image("linux/arm64")]),
    "the same image twice": lambda: index([image(), image()]),
    "no image at all": lambda: index([]),
}
ARTIFACTS = {
    "an artifact": artifact,
    "an artifact about an image": lambda: artifact(image()),
}
CASES = [
    pytest.param(home, make, id=f"{home} holds {name}")
    for home in HOMES
    for name, make in {
        **IMAGES,
        **(INDEXES if home.indexes else {}),
        **(ARTIFACTS if home.artifacts else {}),
    }.items()
]
each_home = pytest.mark.parametrize("home", HOMES, ids=str)


def read(place: Transport) -> tuple[str, dict[str, bytes]]:
    with place.open(runtime()) as value:
        return str(value.digest), everything(value)


@pytest.mark.parametrize(("home", "make"), CASES)
def test_a_round_trip_keeps_every_byte_and_digest(home: Home, make, tmp_path: Path) -> None:
    value = make()
    place = home.make(tmp_path, "1.0")
    written = place.write(value, runtime())
    assert written.digest == value.digest
    assert read(place) == (str(value.digest), everything(value))


@pytest.mark.parametrize(("home", "make"), CASES)
def test_writing_the_same_again_changes_nothing(home: Home, make, tmp_path: Path) -> None:
    value = make()
    place = home.make(tmp_path, "1.0")
    place.write(value, runtime())
    before = contents_of(tmp_path)
    place.write(value, runtime())
    assert contents_of(tmp_path) == before


@pytest.mark.parametrize(("home", "make"), CASES)
def test_the_same_image_is_the_same_bytes_in_every_directory(
    home: Home, make, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        home.make(tmp_path / name, "1.0").write(make(), runtime())
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


@each_home
def test_the_platform_of_an_image_is_read_from_its_config(home: Home, tmp_path: Path) -> None:
    place = home.make(tmp_path, "1.0")
    place.write(image("linux/arm/v7"), runtime())
    with place.open(runtime()) as value:
        assert platforms_of(value) == [parse_platform("linux/arm/v7")]


@pytest.mark.parametrize("home", [home for home in HOMES if home.tags], ids=str)
def test_a_tag_that_is_not_there_is_named_with_those_that_are(home: Home, tmp_path: Path) -> None:
    home.make(tmp_path, "1.0").write(image(), runtime())
    with pytest.raises(ImageNotFound) as caught, home.make(tmp_path, "1.1").open(runtime()):
        pass
    assert "1.1" in caught.value.what
    assert "1.0" in (caught.value.hint or "")


@each_home
def test_a_place_that_does_not_exist_is_named(home: Home, tmp_path: Path) -> None:
    with pytest.raises(HomeportError) as caught, home.make(tmp_path, "1.0").open(runtime()):
        pass
    assert str(tmp_path) in caught.value.what


@each_home
def test_a_written_image_replaces_the_one_of_the_same_name(home: Home, tmp_path: Path) -> None:
    place = home.make(tmp_path, "1.0")
    place.write(image(layers=[layer({"a": b"old"})]), runtime())
    new = image(layers=[layer({"a": b"new"})])
    place.write(new, runtime())
    assert read(place)[0] == str(new.digest)


@dataclass(frozen=True)
class Faulty:
    """A blob that goes wrong when it is read: the real one, with one call broken."""

    inner: Blob
    fault: str

    @property
    def digest(self) -> Digest:
        return self.inner.digest

    @property
    def size(self) -> int:
        return self.inner.size

    def open(self, offset: int = 0) -> BinaryIO:
        data = self.inner.open().read()
        if self.fault == "unreadable":
            raise IntegrityError(f"cannot read {self.digest}")
        damaged = {
            "changed": data[:-1] + bytes([data[-1] ^ 1]),
            "shorter": data[:-1],
            "longer": data + b"\0",
            "empty": b"",
        }[self.fault]
        return io.BytesIO(damaged[offset:])

    def local_path(self) -> Path | None:
        return None


def broken(value: Image, position: int, fault: str) -> tuple[Image, str]:
    """``value`` with one part that is not what it should be, and that part's digest."""
    digest = list(value.blobs)[position]
    blobs = {**value.blobs, digest: Faulty(value.blobs[digest], fault)}
    return replace(value, blobs=blobs), str(digest)


@pytest.mark.parametrize("fault", ["changed", "shorter", "longer", "empty", "unreadable"])
@pytest.mark.parametrize("position", [0, 1, 2], ids=["config", "first layer", "last layer"])
@each_home
def test_a_part_that_goes_wrong_on_the_way_is_named_and_the_old_image_stays(
    home: Home, position: int, fault: str, tmp_path: Path
) -> None:
    place = home.make(tmp_path, "1.0")
    old = image(layers=[layer({"a": b"old"})])
    place.write(old, runtime())
    new = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    value, digest = broken(new, position, fault)
    with pytest.raises(IntegrityError) as caught:
        place.write(value, runtime())
    assert digest in f"{caught.value.what} {caught.value.where}"
    assert read(place) == (str(old.digest), everything(old))
    assert leftovers(tmp_path) == []


@each_home
def test_after_a_failure_the_same_write_succeeds(home: Home, tmp_path: Path) -> None:
    place = home.make(tmp_path, "1.0")
    new = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    with pytest.raises(IntegrityError):
        place.write(broken(new, 2, "changed")[0], runtime())
    place.write(new, runtime())
    assert read(place) == (str(new.digest), everything(new))


class StopAt(CancelToken):
    """Cancelled at the n-th look."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.cancel()
        super().check()


@each_home
def test_an_interrupted_write_leaves_the_old_image_and_no_rubbish(
    home: Home, tmp_path: Path
) -> None:
    place = home.make(tmp_path, "1.0")
    old = image(layers=[layer({"a": b"old"})])
    place.write(old, runtime())
    new = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    for n in range(100):
        try:
            place.write(new, runtime(cancel=StopAt(n)))
        except Interrupted:
            assert read(place)[0] == str(old.digest)
            assert leftovers(tmp_path) == []
        else:
            break
    assert n > 2
    assert read(place)[0] == str(new.digest)


@pytest.mark.parametrize("kind", ["by digest", "by size", "missing"])
@each_home
def test_a_layout_with_any_damaged_part_is_never_copied(
    home: Home, kind: str, tmp_path: Path
) -> None:
    value: Image | Index = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    if home.indexes:
        value = index([image(), value, index([image("linux/arm64")])])
    source = OciLayout(LayoutAddress(path=tmp_path / "source"))
    source.write(value, runtime())
    for blob in blobs_of(tmp_path / "source"):
        # Each time a new destination: what an earlier try has brought whole is not asked again.
        place = home.make(fresh(tmp_path / blob.name), "1.0")
        good = blob.read_bytes()
        damage(blob, kind)
        with pytest.raises(HomeportError) as caught:
            copy(source, place, runtime())
        assert blob.name in f"{caught.value.what} {caught.value.where}", kind
        with pytest.raises(HomeportError), place.open(runtime()):
            pass
        blob.write_bytes(good)
        copy(source, place, runtime())
        assert read(place)[0] == str(value.digest)


def fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def damage(blob: Path, kind: str) -> None:
    data = blob.read_bytes()
    if kind == "by digest":
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif kind == "by size":
        blob.write_bytes(data + b" ")
    else:
        blob.unlink()


@pytest.mark.parametrize("destination", HOMES, ids=str)
@pytest.mark.parametrize("origin", HOMES, ids=str)
def test_an_image_goes_from_every_place_to_every_other(
    origin: Home, destination: Home, tmp_path: Path
) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    source = origin.make(tmp_path / "from", "1.0")
    target = destination.make(tmp_path / "to", "2.0")
    value = image(layers=[layer({"a": b"a"}), layer({"b": b"b"}, "zstd")], docker=True)
    source.write(value, runtime())
    assert copy(source, target, runtime()).digest == value.digest
    assert read(target) == (str(value.digest), everything(value))


@pytest.mark.parametrize("home", [home for home in HOMES if home.indexes], ids=str)
def test_a_choice_of_platforms_is_copied_as_chosen(home: Home, tmp_path: Path) -> None:
    source = OciLayout(LayoutAddress(path=tmp_path / "source"))
    value = index()
    source.write(value, runtime())
    place = home.make(tmp_path, "1.0")
    copy(source, place, runtime(), platforms=SEVEN[:2])
    with place.open(runtime()) as found:
        assert platforms_of(found) == list(SEVEN[:2])
        assert found.digest == select(value, SEVEN[:2]).digest


@each_home
def test_one_platform_of_an_index_is_copied_with_its_own_digest(home: Home, tmp_path: Path) -> None:
    source = OciLayout(LayoutAddress(path=tmp_path / "source"))
    value = index()
    source.write(value, runtime())
    place = home.make(tmp_path, "1.0")
    written = copy(source, place, runtime(), platforms=[parse_platform("linux/s390x")])
    assert str(written.digest) == value.children[5].descriptor.digest
    assert read(place)[0] == str(written.digest)


def contents_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below ``folder`` with its bytes and permission bits."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in folder.rglob("*")
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def blobs_of(layout: Path) -> Iterator[Path]:
    yield from sorted(path for path in (layout / "blobs").rglob("*") if path.is_file())
