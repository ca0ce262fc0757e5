"""Local engines take our archives, run the image in them, and give it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.images import Layer, everything, image, index, layer
from builders.runtime import runtime
from homeport.images.address import ArchiveAddress, EngineAddress, LayoutAddress
from homeport.images.copy import copy
from homeport.images.image import Image
from homeport.images.load import load
from homeport.images.transports.containers_storage import ContainersStorage
from homeport.images.transports.docker_api import EngineError
from homeport.images.transports.docker_archive import DockerArchive
from homeport.images.transports.docker_daemon import DockerDaemon
from homeport.images.transports.oci_archive import OciArchive
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.documents import RunConfig
from homeport.oci.platform import native_platform
from homeport.oci.reference import parse_reference
from peers.engines import Podman, Program

NAME = "registry.example/copy:1.0"
pytestmark = pytest.mark.root


def native_image(codec: str = "gzip") -> Image:
    layers: list[Layer] = [layer({"a": b"one"}, codec), layer({"b": b"two"}, codec)]
    return image(str(native_platform()), layers, config=RunConfig(labels={"who": "we"}))


def archive(path: Path, tag: str = NAME) -> DockerArchive:
    return DockerArchive(ArchiveAddress(format="docker-archive", path=path, tag=tag))


@pytest.mark.peer("podman", "runc")
@pytest.mark.parametrize("codec", ["gzip", "zstd", "none"])
def test_podman_loads_our_docker_archive(podman: Podman, codec: str, tmp_path: Path) -> None:
    value = native_image(codec)
    archive(tmp_path / "a.tar").write(value, runtime())
    assert NAME in podman.run("load", "--input", str(tmp_path / "a.tar"))
    found = podman.run("image", "inspect", "--format", "{{.Id}} {{.Labels.who}}", NAME)
    assert found.split() == [value.document.parsed.config.digest.removeprefix("sha256:"), "we"]


@pytest.mark.peer("podman", "runc")
def test_podman_loads_our_oci_archive(podman: Podman, tmp_path: Path) -> None:
    value = native_image()
    place = OciArchive(ArchiveAddress(format="oci-archive", path=tmp_path / "a.tar", tag="1.0"))
    place.write(value, runtime())
    podman.run("load", "--input", str(tmp_path / "a.tar"))
    config = value.document.parsed.config.digest.removeprefix("sha256:")
    assert podman.run("images", "--quiet", "--no-trunc").split() == [f"sha256:{config}"]


@pytest.mark.peer("podman", "runc", "busybox")
def test_podman_runs_what_it_loaded(podman: Podman, tmp_path: Path) -> None:
    busybox = Path("/bin/busybox").read_bytes()
    archive(tmp_path / "a.tar").write(
        image(str(native_platform()), [layer({"bin/busybox": busybox})]), runtime()
    )
    podman.run("load", "--input", str(tmp_path / "a.tar"))
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "from").write_text("content")
    podman.run_image(
        "-v", f"{shared}:/mnt", NAME, "/bin/busybox", "cp", "/mnt/from", "/mnt/to"
    )  # fmt: skip
    assert (shared / "to").read_text() == "content"


@pytest.mark.peer("podman", "runc")
def test_an_image_comes_back_out_of_podmans_storage(
    podman: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, text in podman.environ.items():
        monkeypatch.setenv(variable, text)
    value = native_image()
    loaded = load(index([value]), parse_reference(NAME), runtime(), engine="podman")
    assert (loaded.name, loaded.digest) == (NAME, value.digest)
    source = ContainersStorage(EngineAddress(engine="containers-storage", name=NAME))
    written = copy(source, OciLayout(LayoutAddress(path=tmp_path / "one")), runtime())
    again = copy(source, OciLayout(LayoutAddress(path=tmp_path / "two")), runtime())
    assert written.digest == again.digest
    _same_content(tmp_path / "one", value)


@pytest.mark.peer("podman", "runc")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_archives_of_podman_save_are_read(podman: Podman, kind: str, tmp_path: Path) -> None:
    value = native_image()
    archive(tmp_path / "a.tar").write(value, runtime())
    podman.run("load", "--input", str(tmp_path / "a.tar"))
    podman.run("save", "--format", kind, "--output", str(tmp_path / "saved.tar"), NAME)
    path = tmp_path / "saved.tar"
    place = (
        archive(path)
        if kind == "docker-archive"
        else OciArchive(ArchiveAddress(format="oci-archive", path=path))
    )
    with place.open(runtime()) as found:
        assert isinstance(found, Image)
        assert found.document.parsed.config.digest == value.document.parsed.config.digest
        everything(found)


@pytest.mark.peer("podman", "runc", "buildah")
def test_a_layout_that_buildah_writes_is_read(podman: Podman, tmp_path: Path) -> None:
    buildah = Program(("buildah",), podman.environ)
    container = buildah.run("from", "scratch").strip()
    buildah.run("config", "--label", "who=buildah", container)
    buildah.run("commit", "--rm", container, f"oci:{tmp_path}/layout:1.0")
    with OciLayout(LayoutAddress(path=tmp_path / "layout", tag="1.0")).open(runtime()) as found:
        assert isinstance(found, Image)
        config = found.config()
        assert config is not None
        assert config.parsed.config.labels["who"] == "buildah"


@pytest.mark.peer("podman", "runc")
def test_an_image_that_podman_does_not_have_is_named(
    podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in podman.environ.items():
        monkeypatch.setenv(name, value)
    address = EngineAddress(engine="containers-storage", name="localhost/absent:1")
    with (
        pytest.raises(EngineError, match="localhost/absent:1"),
        ContainersStorage(address).open(runtime()),
    ):
        pass


@pytest.mark.peer("dockerd")
@pytest.mark.parametrize("codec", ["gzip", "zstd", "none"])
def test_docker_loads_our_image_and_gives_it_back(
    dockerd: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dockerd)
    value = native_image(codec)
    loaded = load(value, parse_reference(NAME), runtime())
    assert (loaded.engine, loaded.name, loaded.digest) == ("docker", NAME, value.digest)
    source = DockerDaemon(EngineAddress(engine="docker-daemon", name=NAME))
    copy(source, OciLayout(LayoutAddress(path=tmp_path / "back")), runtime())
    _same_content(tmp_path / "back", value)
    by_id = EngineAddress(engine="docker-daemon", name=value.document.parsed.config.digest)
    copy(DockerDaemon(by_id), archive(tmp_path / "saved.tar", ""), runtime())


@pytest.mark.peer("dockerd")
def test_an_image_that_docker_does_not_have_is_an_error_with_its_answer(
    dockerd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dockerd)
    address = EngineAddress(engine="docker-daemon", name="localhost/absent:1")
    with (
        pytest.raises(EngineError, match="404: reference does not exist"),
        DockerDaemon(address).open(runtime()),
    ):
        pass


def _same_content(layout: Path, value: Image) -> None:
    """The layout holds ``value`` with its layers unpacked: the same config, the same diff ids."""
    with OciLayout(LayoutAddress(path=layout)).open(runtime()) as found:
        assert isinstance(found, Image)
        assert found.document.parsed.config.digest == value.document.parsed.config.digest
        config = found.config()
        assert config is not None
        diff_ids = list(config.parsed.rootfs.diff_ids)
        assert [part.digest for part in found.document.parsed.layers] == diff_ids
        everything(found)
