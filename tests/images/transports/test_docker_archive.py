"""Archives of ``docker save`` of every era are read, and ours are what each docker loads."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import sys
import tarfile
from pathlib import Path

import pytest
import zstandard

from builders.archives import before_1_10, config_of, containerd, docker_1_10, docker_25, tar
from builders.images import artifact, everything, image, index, layer
from builders.runtime import runtime
from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.images.address import ArchiveAddress, StreamAddress
from homeport.images.image import Image, ImageNotFound, Index, Missing
from homeport.images.storage import spooled_unpack as unfolding
from homeport.images.storage.archive_files import ArchiveFiles
from homeport.images.storage.files import BadLayout
from homeport.images.transports.docker_archive import DockerArchive, NotForDocker
from homeport.images.transports.oci_archive import OciArchive
from homeport.images.transports.stdio import Stream
from homeport.oci.platform import native_platform

LAYERS = [layer({"a": b"one"}), layer({"b": b"two"}), layer({"a": b"one"})]
NAMES = ["copy:1.0"]


def archive(path: Path | None, tag: str = "", **more) -> DockerArchive:
    if tag and "/" not in tag:
        tag = f"docker.io/library/{tag}"
    return DockerArchive(ArchiveAddress(format="docker-archive", path=path, tag=tag, **more))


def read(place) -> tuple[Image | Index, dict[str, bytes]]:
    with place.open(runtime()) as value:
        return value, everything(value)


def plain_layers(found: dict[str, bytes], value: Image) -> list[bytes]:
    return [found[part.digest] for part in value.document.parsed.layers]


@pytest.mark.parametrize("tag", ["", "copy:1.0"])
@pytest.mark.parametrize("era", [docker_1_10, docker_25], ids=["1.10 to 24", "25 and later"])
def test_an_archive_of_docker_save_is_its_config_and_plain_layers(
    era, tag: str, tmp_path: Path
) -> None:
    value = image(layers=LAYERS)
    found, content = read(archive(tar(tmp_path / "x", era(value, LAYERS, NAMES)), tag))
    assert isinstance(found, Image)
    assert found.document.parsed.config.digest == value.document.parsed.config.digest
    assert plain_layers(content, found) == [one.plain for one in LAYERS]
    assert found.platform == value.platform


def test_both_eras_of_one_image_have_one_manifest(tmp_path: Path) -> None:
    value = image(layers=LAYERS)
    digests = {
        read(archive(tar(tmp_path / era.__name__, era(value, LAYERS, NAMES))))[0].digest
        for era in (docker_1_10, docker_25)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("make", [lambda: image(layers=LAYERS), lambda: index([image()])])
def test_an_archive_of_containerds_store_keeps_the_images_own_manifest(
    make, tmp_path: Path
) -> None:
    value = make()
    found, content = read(archive(tar(tmp_path / "x", containerd(value, NAMES)), "copy:1.0"))
    assert found.document.raw == value.document.raw
    assert content == everything(value)


def test_of_an_index_whose_other_platforms_docker_did_not_pull_the_present_one_is_read(
    tmp_path: Path,
) -> None:
    here, elsewhere = image(), image("linux/arm64")
    value = index([here, elsewhere])
    missing = frozenset(everything(elsewhere)) - frozenset(everything(here))
    found, _ = read(archive(tar(tmp_path / "x", containerd(value, NAMES, missing))))
    assert found.document.raw == here.document.raw


def test_an_archive_of_docker_before_1_10_gets_the_config_that_docker_makes_of_it(
    tmp_path: Path,
) -> None:
    path = tar(tmp_path / "x", before_1_10(LAYERS[:2], "registry.example/copy", "1.0"))
    found, content = read(archive(path, "registry.example/copy:1.0"))
    assert isinstance(found, Image)
    assert plain_layers(content, found) == [one.plain for one in LAYERS[:2]]
    config = json.loads(config_of(found))
    assert config == {
        "architecture": "amd64",
        "config": {"Cmd": ["/hello"], "Env": None},
        "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) layer 1"]},
        "created": "2015-01-02T00:00:00Z",
        "history": [
            {"created": "2015-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) layer 0"},
            {"created": "2015-01-02T00:00:00Z", "created_by": "/bin/sh -c #(nop) layer 1"},
        ],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in LAYERS[:2]]},
    }


def test_layers_that_are_their_own_parents_end(tmp_path: Path) -> None:
    members = before_1_10(LAYERS[:2], "registry.example/copy", "1.0")
    name = next(name for name in members if name.endswith("/json"))
    old = json.loads(bytes(members[name]))
    members[name] = json.dumps({**old, "parent": name.partition("/")[0]}).encode()
    with pytest.raises(BadLayout, match="form a loop"):
        read(archive(tar(tmp_path / "x", members)))


def test_a_layer_that_many_share_by_links_is_hashed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many: dict[str, bytes | str] = {"repositories": b'{"r":{"t":"0"}}'}
    for n in range(100):
        parent = {"parent": str(n + 1)} if n < 99 else {}
        many[f"{n}/json"] = json.dumps({"id": str(n), **parent}).encode()
        many[f"{n}/layer.tar"] = LAYERS[0].plain if n == 0 else "../0/layer.tar"
    opened: list[str] = []
    real = ArchiveFiles.open

    def counted(self: ArchiveFiles, name: str, offset: int = 0):
        opened.append(name)
        return real(self, name, offset)

    monkeypatch.setattr(ArchiveFiles, "open", counted)
    with archive(tar(tmp_path / "x", many)).open(runtime()) as value:
        assert isinstance(value, Image)
        assert len(value.document.parsed.layers) == 100
    assert sum(name.endswith("layer.tar") for name in opened) == 1


@pytest.mark.parametrize("layers", [[], [1, 0]])
def test_a_manifest_beside_manifest_json_with_other_layers_does_not_count(
    layers: list[int], tmp_path: Path
) -> None:
    """Docker 25.0 wrote manifests without layers, and with layers in another order."""
    value = image(layers=LAYERS[:2])
    members = docker_25(value, LAYERS[:2], NAMES)
    document = json.loads(bytes(members["index.json"]))
    line = document["manifests"][0]
    name = "blobs/sha256/" + line["digest"][7:]
    manifest = json.loads(bytes(members[name]))
    raw = json.dumps({**manifest, "layers": [manifest["layers"][n] for n in layers]}).encode()
    line.update(digest=str(Digest.of(raw)), size=len(raw))
    members |= {
        "index.json": json.dumps(document).encode(),
        "blobs/sha256/" + Digest.of(raw).hex: raw,
    }
    found, content = read(archive(tar(tmp_path / "x", members)))
    assert isinstance(found, Image)
    assert plain_layers(content, found) == [one.plain for one in LAYERS[:2]]


@pytest.mark.parametrize("pack", [lzma.compress, bz2.compress])
def test_layers_in_a_codec_that_no_media_type_names_are_unpacked(pack, tmp_path: Path) -> None:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    for name, data in members.items():
        if name.endswith("layer.tar") and isinstance(data, bytes):
            members[name] = pack(data)
    with archive(tar(tmp_path / "x", members)).open(runtime()) as found:
        assert isinstance(found, Image)
        assert plain_layers(everything(found), found) == [one.plain for one in LAYERS]
        first = found.blobs[Digest.parse(found.document.parsed.layers[0].digest)]
        with first.open(100) as stream:
            assert stream.read() == LAYERS[0].plain[100:]


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_layers_may_be_compressed(codec: str, tmp_path: Path) -> None:
    layers = [layer({"a": b"one"}, codec), layer({"b": b"two"}, codec)]
    value = image(layers=layers)
    members = docker_1_10(value, layers, NAMES)
    for name, one in zip([n for n in members if n.endswith("layer.tar")], layers, strict=True):
        members[name] = one.data
    found, content = read(archive(tar(tmp_path / "x", members)))
    assert isinstance(found, Image)
    assert [part.media_type for part in found.document.parsed.layers] == [
        one.media_type for one in layers
    ]
    assert plain_layers(content, found) == [one.data for one in layers]


@pytest.mark.parametrize("codec", ["gz", "xz", "bz2", "zst"])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_the_whole_archive_may_be_compressed(
    codec: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    wanted, _ = read(archive(tar(tmp_path / "plain", members)))
    path = tmp_path / "x"
    if codec == "zst":
        path.write_bytes(zstandard.ZstdCompressor().compress((tmp_path / "plain").read_bytes()))
    else:
        tar(path, members, f"w:{codec}")
    if source == "file":
        assert read(archive(path))[0].digest == wanted.digest
        return
    for place in (archive(None), Stream(StreamAddress())):
        with path.open("rb") as stream:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
            assert read(place)[0].digest == wanted.digest


def test_a_hyphen_reads_an_oci_archive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = index()
    address = ArchiveAddress(format="oci-archive", path=tmp_path / "o.tar", tag="any")
    OciArchive(address).write(value, runtime())
    with (tmp_path / "o.tar").open("rb") as stream:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        assert read(Stream(StreamAddress()))[1] == everything(value)


def test_a_hyphen_writes_an_oci_archive(tmp_path: Path, capfdbinary) -> None:
    value = index()
    Stream(StreamAddress()).write(value, runtime())
    (tmp_path / "o.tar").write_bytes(capfdbinary.readouterr().out)
    address = ArchiveAddress(format="oci-archive", path=tmp_path / "o.tar")
    assert read(OciArchive(address))[1] == everything(value)


@pytest.mark.parametrize("codec", ["gz", "xz", "bz2"])
@pytest.mark.parametrize("fault", ["cut", "changed"])
def test_a_damaged_compressed_archive_is_said_to_be_damaged(
    codec: str, fault: str, tmp_path: Path
) -> None:
    path = tar(tmp_path / "x", docker_1_10(image(layers=LAYERS), LAYERS, NAMES), f"w:{codec}")
    data = bytearray(path.read_bytes())
    if fault == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0x55
        data[len(data) // 2 + 1] ^= 0x55
    path.write_bytes(bytes(data))
    with pytest.raises((IntegrityError, BadLayout), match="damaged"):
        read(archive(path))


def several(tmp_path: Path) -> Path:
    members: dict[str, bytes | str] = {}
    lines = []
    for n, name in enumerate(["copy:1.0", "copy:2.0", None]):
        layers = [layer({"n": b"%d" % n})]
        part = docker_1_10(image(layers=layers), layers, [name] if name else None)
        lines += json.loads(bytes(part.pop("manifest.json")))  # type: ignore[arg-type]
        members |= part
    members["manifest.json"] = json.dumps(lines).encode()
    return tar(tmp_path / "several", members)


def test_of_several_images_one_is_chosen_by_name_or_by_position(tmp_path: Path) -> None:
    path = several(tmp_path)
    by_position = [read(archive(path, position=n))[0].digest for n in range(3)]
    assert len(set(by_position)) == 3
    assert read(archive(path, "copy:2.0"))[0].digest == by_position[1]


def test_of_several_images_none_is_guessed(tmp_path: Path) -> None:
    path = several(tmp_path)
    with pytest.raises(ImageNotFound, match="holds 3 images") as caught:
        read(archive(path))
    assert caught.value.hint == "choose one after a colon: copy:1.0, copy:2.0, @2"
    with pytest.raises(ImageNotFound, match=r"no image docker.io/library/copy:3.0") as caught:
        read(archive(path, "copy:3.0"))
    assert caught.value.hint == "there is copy:1.0, copy:2.0"
    with pytest.raises(ImageNotFound, match="3 images, counted from 0"):
        read(archive(path, position=3))


# -- what we write


def members_of(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as opened:
        return {member.name: member for member in opened}


def member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as opened:
        stream = opened.extractfile(name)
        assert stream is not None
        return stream.read()


def test_a_written_archive_is_a_layout_with_a_manifest_json_of_the_same_blobs(
    tmp_path: Path,
) -> None:
    value = image(layers=LAYERS)
    archive(tmp_path / "x", "copy:1.0").write(value, runtime())
    names = [f"blobs/sha256/{digest.removeprefix('sha256:')}" for digest in everything(value)]
    found = members_of(tmp_path / "x")
    assert list(found) == [
        "blobs", "blobs/sha256", *sorted(names), "index.json", "manifest.json", "oci-layout",
    ]  # fmt: skip
    assert {(one.uid, one.gid, one.mtime, one.uname) for one in found.values()} == {(0, 0, 0, "")}
    [saved] = json.loads(member(tmp_path / "x", "manifest.json"))
    assert saved["RepoTags"] == ["copy:1.0"]
    assert [Digest.of(member(tmp_path / "x", name)).hex for name in saved["Layers"]] == [
        part.digest.removeprefix("sha256:") for part in value.document.parsed.layers
    ]
    [line] = json.loads(member(tmp_path / "x", "index.json"))["manifests"]
    assert line["annotations"] == {
        "io.containerd.image.name": "docker.io/library/copy:1.0",
        "org.opencontainers.image.ref.name": "1.0",
    }


def test_a_name_with_a_registry_stays_whole(tmp_path: Path) -> None:
    archive(tmp_path / "x", "registry.example/team/copy:1.0").write(image(), runtime())
    [saved] = json.loads(member(tmp_path / "x", "manifest.json"))
    assert saved["RepoTags"] == ["registry.example/team/copy:1.0"]


def test_without_a_name_the_image_has_none(tmp_path: Path) -> None:
    archive(tmp_path / "x").write(image(), runtime())
    [saved] = json.loads(member(tmp_path / "x", "manifest.json"))
    assert saved["RepoTags"] is None


def test_a_zstd_layer_stands_there_unpacked_too(tmp_path: Path) -> None:
    layers = [layer({"a": bytes(3 << 20)}, "zstd"), layer({"b": b"b"})]
    value = image(layers=layers)
    archive(tmp_path / "x").write(value, runtime())
    [saved] = json.loads(member(tmp_path / "x", "manifest.json"))
    assert [member(tmp_path / "x", name) for name in saved["Layers"]] == [
        layers[0].plain, layers[1].data,
    ]  # fmt: skip
    found, content = read(archive(tmp_path / "x"))
    assert found.digest == value.digest
    assert content == everything(value)


def test_what_a_zstd_layer_may_unfold_to_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfolding, "SPOOL_LIMIT", 1 << 20)
    with pytest.raises(TooLarge, match=r"decompresses to more than 1\.05 MB"):
        archive(tmp_path / "x").write(
            image(layers=[layer({"a": bytes(3 << 20)}, "zstd")]), runtime()
        )
    assert not (tmp_path / "x").exists()


def test_of_an_index_the_native_platform_is_written(tmp_path: Path) -> None:
    value = index()
    native = [child for child in value.children if child.platform == native_platform()]
    written = archive(tmp_path / "x").write(value, runtime())
    assert [child.descriptor.digest for child in native] == [str(written.digest)]


def test_of_an_index_of_one_foreign_platform_that_one_is_written(tmp_path: Path) -> None:
    only = image("linux/s390x")
    assert archive(tmp_path / "x").write(index([only]), runtime()).digest == only.digest


def test_what_docker_cannot_load_is_refused(tmp_path: Path) -> None:
    others = ["linux/s390x", "linux/riscv64"]
    with pytest.raises(NotForDocker, match="one platform") as caught:
        archive(tmp_path / "x").write(index([image(one) for one in others]), runtime())
    assert caught.value.hint == "choose one with --platform: linux/s390x, linux/riscv64"
    with pytest.raises(NotForDocker, match="this is an artifact"):
        archive(tmp_path / "x").write(artifact(), runtime())
    assert list(tmp_path.iterdir()) == []


# -- bad archives


def changed(**documents: object) -> dict[str, bytes | str]:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    for name, document in documents.items():
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        members[name.replace("_", ".")] = raw
    return members


def saved(**change: object) -> list[dict[str, object]]:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    return [{**json.loads(bytes(members["manifest.json"]))[0], **change}]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("document", "error", "says"),
    [
        (b"", BadLayout, "manifest.json is not valid"),
        (b"[" * 100_000, BadLayout, "manifest.json is not valid"),
        ([], ImageNotFound, "holds no image"),
        (saved(Config="../../etc/passwd"), Missing, "lacks ../../etc/passwd"),
        (saved(Config="/etc/passwd"), Missing, "lacks etc/passwd"),
        (saved(Config="absent.json"), Missing, "lacks absent.json"),
        (saved(Layers=[]), BadLayout, "lists 0 layers of an image whose config has 3"),
        (saved(Layers=["../x"] * 3), Missing, "lacks ../x"),
        (saved(Layers=["/dev/zero"] * 3), Missing, "lacks dev/zero"),
        (saved(Layers=[1]), BadLayout, "manifest.json is not valid"),
        (saved(Config=None), BadLayout, "manifest.json is not valid"),
    ],
)
def test_a_manifest_json_that_is_wrong_is_an_error_that_says_why(
    document: object, error: type[HomeportError], says: str, tmp_path: Path
) -> None:
    path = tar(tmp_path / "x", changed(manifest_json=document))
    with pytest.raises(error) as caught:
        read(archive(path))
    assert says in caught.value.what
    assert str(path) in f"{caught.value.what} {caught.value.where}"


def test_a_config_that_is_not_what_its_blob_name_says_is_refused(tmp_path: Path) -> None:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    [saved] = json.loads(members["manifest.json"])
    members["blobs/sha256/" + "0" * 64] = members.pop(saved["Config"])
    saved["Config"] = "blobs/sha256/" + "0" * 64
    members["manifest.json"] = json.dumps([saved]).encode()
    with pytest.raises(IntegrityError, match="has digest"):
        read(archive(tar(tmp_path / "x", members)))


def test_any_other_name_of_a_config_is_only_a_name(tmp_path: Path) -> None:
    """docker load hashes the config itself; so do we."""
    value = image(layers=LAYERS)
    members = docker_1_10(value, LAYERS, NAMES)
    [saved] = json.loads(members["manifest.json"])
    members["0" * 64 + ".json"] = members.pop(saved["Config"])
    members["manifest.json"] = json.dumps([{**saved, "Config": "0" * 64 + ".json"}]).encode()
    found, _ = read(archive(tar(tmp_path / "x", members)))
    assert isinstance(found, Image)
    assert found.document.parsed.config.digest == value.document.parsed.config.digest


def test_a_layer_that_is_not_what_the_config_says_is_refused(tmp_path: Path) -> None:
    members = docker_1_10(image(layers=LAYERS), LAYERS, NAMES)
    name = next(name for name in members if name.endswith("layer.tar"))
    members[name] = bytes(len(members[name]))
    with (
        archive(tar(tmp_path / "x", members)).open(runtime()) as value,
        pytest.raises(IntegrityError, match="expected sha256"),
    ):
        archive(tmp_path / "y").write(value, runtime())
    assert not (tmp_path / "y").exists()


def test_an_oci_archive_read_as_dockers_is_told_apart_and_the_reverse(tmp_path: Path) -> None:
    value = index()
    oci = ArchiveAddress(format="oci-archive", path=tmp_path / "o.tar")
    OciArchive(oci).write(value, runtime())
    assert read(archive(tmp_path / "o.tar"))[0].digest == value.digest
    tar(tmp_path / "d.tar", docker_1_10(image(layers=LAYERS), LAYERS, NAMES))
    with pytest.raises(BadLayout, match="is a docker archive, not an OCI archive") as caught:
        read(OciArchive(ArchiveAddress(format="oci-archive", path=tmp_path / "d.tar")))
    assert caught.value.hint == f"read it as docker-archive:{tmp_path}/d.tar"


def test_a_tar_of_something_else_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(BadLayout, match=r"neither manifest.json nor index.json"):
        read(archive(tar(tmp_path / "x", {"notes.txt": b"hello"})))
