"""What we write, skopeo and umoci read, and the other way round, with unchanged digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from builders.images import SEVEN, everything, image, index, layer
from builders.runtime import runtime
from homeport.images.address import ArchiveAddress, DirAddress, LayoutAddress
from homeport.images.copy import copy
from homeport.images.image import Image
from homeport.images.platforms import platforms_of
from homeport.images.transports.docker_archive import DockerArchive
from homeport.images.transports.oci_archive import OciArchive
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.skopeo_dir import SkopeoDir
from peers.engines import Program, RegistryServer


def layout(folder: Path, tag: str = "1.0") -> OciLayout:
    return OciLayout(LayoutAddress(path=folder, tag=tag))


def digest_of(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.peer("skopeo")
def test_skopeo_lists_the_seven_platforms_of_a_layout(skopeo: Program, tmp_path: Path) -> None:
    value = index()
    layout(tmp_path / "layout").write(value, runtime())
    raw = skopeo.run("inspect", "--raw", f"oci:{tmp_path}/layout:1.0")
    listed = [entry["platform"]["architecture"] for entry in json.loads(raw)["manifests"]]
    assert listed == ["amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64"]
    assert digest_of(raw) == str(value.digest)


@pytest.mark.peer("skopeo", "docker-registry")
def test_an_index_goes_through_a_real_registry_and_comes_back_with_its_digests(
    skopeo: Program, registry: RegistryServer, tmp_path: Path
) -> None:
    value = index()
    layout(tmp_path / "there").write(value, runtime())
    remote = f"docker://{registry.repository('copy')}:1.0"
    skopeo.run(
        "copy", "--all", "--preserve-digests", "--dest-tls-verify=false",
        f"oci:{tmp_path}/there:1.0", remote,
    )  # fmt: skip
    skopeo.run(
        "copy", "--all", "--preserve-digests", "--src-tls-verify=false", remote,
        f"oci:{tmp_path}/back:2.0",
    )  # fmt: skip
    with layout(tmp_path / "back", "2.0").open(runtime()) as found:
        assert found.digest == value.digest
        assert everything(found) == everything(value)
        assert platforms_of(found) == list(SEVEN)


@pytest.mark.peer("skopeo")
def test_what_skopeo_writes_into_our_layout_stands_beside_what_is_there(
    skopeo: Program, tmp_path: Path
) -> None:
    ours, theirs = image(), image("linux/arm64")
    layout(tmp_path / "theirs").write(theirs, runtime())
    layout(tmp_path / "ours").write(ours, runtime())
    skopeo.run("copy", "--format", "oci", f"oci:{tmp_path}/theirs:1.0", f"oci:{tmp_path}/ours:2.0")
    again = image("linux/s390x")
    layout(tmp_path / "ours", "3.0").write(again, runtime())
    for tag, wanted in (("1.0", ours.platform), ("2.0", theirs.platform), ("3.0", again.platform)):
        with layout(tmp_path / "ours", tag).open(runtime()) as found:
            assert platforms_of(found) == [wanted]
            everything(found)


@pytest.mark.peer("skopeo")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archives_of_skopeo_are_read(skopeo: Program, kind: str, tmp_path: Path) -> None:
    value = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    layout(tmp_path / "layout").write(value, runtime())
    name = "registry.example/copy:1.0" if kind == "docker-archive" else "1.0"
    skopeo.run("copy", f"oci:{tmp_path}/layout:1.0", f"{kind}:{tmp_path}/a.tar:{name}")
    place = _archive(kind, tmp_path / "a.tar", name)
    with place.open(runtime()) as found:
        assert isinstance(found, Image)
        assert found.document.parsed.config.digest == value.document.parsed.config.digest
        everything(found)
        assert copy(place, layout(tmp_path / "copy"), runtime()).digest == found.digest


@pytest.mark.peer("skopeo")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_our_archives_are_read_by_skopeo(skopeo: Program, kind: str, tmp_path: Path) -> None:
    value = image(layers=[layer({"a": b"a"}), layer({"b": b"b"})])
    name = "registry.example/copy:1.0" if kind == "docker-archive" else "1.0"
    _archive(kind, tmp_path / "a.tar", name).write(value, runtime())
    address = f"{kind}:{tmp_path}/a.tar:{name}"
    skopeo.run("copy", address, f"oci:{tmp_path}/layout:1.0")
    with layout(tmp_path / "layout").open(runtime()) as found:
        assert isinstance(found, Image)
        assert found.document.parsed.config.digest == value.document.parsed.config.digest


@pytest.mark.peer("umoci")
def test_umoci_unpacks_what_we_write(umoci: Program, tmp_path: Path) -> None:
    value = image(layers=[layer({"a": b"one"}), layer({"b": b"two"}, "none"), layer({"c": b"3"})])
    layout(tmp_path / "layout").write(value, runtime())
    assert umoci.run("ls", "--layout", str(tmp_path / "layout")).split() == ["1.0"]
    umoci.run("unpack", "--rootless", "--image", f"{tmp_path}/layout:1.0", str(tmp_path / "out"))
    found = {path.name: path.read_bytes() for path in (tmp_path / "out/rootfs").iterdir()}
    assert found == {"a": b"one", "b": b"two", "c": b"3"}


@pytest.mark.peer("umoci")
def test_what_umoci_changes_in_our_layout_we_read(umoci: Program, tmp_path: Path) -> None:
    layout(tmp_path / "layout").write(image(), runtime())
    umoci.run("config", "--image", f"{tmp_path}/layout:1.0", "--tag", "2.0", "--config.user", "me")
    umoci.run("gc", "--layout", str(tmp_path / "layout"))
    with layout(tmp_path / "layout", "2.0").open(runtime()) as found:
        assert isinstance(found, Image)
        config = found.config()
        assert config is not None
        assert config.parsed.config.user == "me"
    with layout(tmp_path / "layout", "1.0").open(runtime()) as found:
        everything(found)


def _archive(kind: str, path: Path, name: str) -> OciArchive | DockerArchive:
    if kind == "oci-archive":
        return OciArchive(ArchiveAddress(format="oci-archive", path=path, tag=name))
    return DockerArchive(ArchiveAddress(format="docker-archive", path=path, tag=name))


@pytest.mark.peer("skopeo")
def test_directories_are_exchanged_with_skopeo(skopeo: Program, tmp_path: Path) -> None:
    value = index()
    ours = SkopeoDir(DirAddress(path=tmp_path / "ours"))
    ours.write(value, runtime())
    skopeo.run(
        "copy", "--all", "--preserve-digests", f"dir:{tmp_path}/ours", f"dir:{tmp_path}/theirs"
    )
    with SkopeoDir(DirAddress(path=tmp_path / "theirs")).open(runtime()) as found:
        assert found.digest == value.digest
        assert everything(found) == everything(value)
