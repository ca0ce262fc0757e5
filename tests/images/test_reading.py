"""The commands that print parts of an image read them wherever the image is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.images import Layer, everything, image, index, layer
from builders.runtime import runtime
from builders.small_registry import Manifest, SmallRegistry, digest_of, small_registry
from homeport.app import Settings, open_app
from homeport.cli.main import homeport
from homeport.errors import AnswerNo, HomeportError, UsageError
from homeport.images.address import LayoutAddress, parse_destination, parse_source
from homeport.images.image import Image, Index, Missing
from homeport.images.platforms import select
from homeport.images.storage.layout import blob_name
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.platform import parse_platform

NAME = "registry.example/team/copy:1.0"
PLACES = ("oci:layout:1.0", "oci-archive:o.tar:1.0", f"docker-archive:d.tar:{NAME}", "dir:dir")


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry() as registry:
        yield registry


def write(value: Image | Index, *places: str) -> None:
    with open_app(Settings(cache_dir=Path("other-cache"))) as app:
        for place in places:
            app.destination(parse_destination(place)).write(value, app.runtime)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


@pytest.mark.parametrize("place", PLACES)
def test_a_local_image_is_read_as_one_in_a_registry(place: str) -> None:
    value = image()
    write(value, place)
    assert run("digest", place).stdout == f"{value.digest}\n"
    assert run("manifest", place).stdout_bytes == value.document.raw
    assert json.loads(run("config", place).stdout)["os"] == "linux"
    assert run("validate", place).exit_code == 0
    assert run("validate", place, "--fast").exit_code == 0


def test_an_image_of_an_index_is_chosen_by_its_platform(registry: SmallRegistry) -> None:
    value = index()
    address = f"{registry.host}/a:1"
    write(value, address)
    arm = select(value, [parse_platform("linux/arm64")])
    assert isinstance(arm, Image)
    words = ("--platform", "linux/arm64")
    assert run("digest", address, *words).stdout == f"{arm.digest}\n"
    assert run("manifest", address, *words).stdout_bytes == arm.document.raw
    assert json.loads(run("config", address, *words).stdout)["architecture"] == "arm64"


def test_the_platform_that_stands_in_for_another_is_named(registry: SmallRegistry) -> None:
    address = f"{registry.host}/a:1"
    write(index([image("linux/arm/v6"), image("linux/amd64")]), address)
    result = run("digest", address, "--platform", "linux/arm/v7")
    assert result.stdout == f"{image('linux/arm/v6').digest}\n"
    assert "no image for linux/arm/v7: took linux/arm/v6" in result.stderr


@pytest.mark.parametrize(
    "raw",
    [b'{"schemaVersion":1,"fsLayers":[]}', b'\xef\xbb\xbf{"schemaVersion":2}', b"no JSON"],
    ids=["schema 1", "a byte order mark", "no JSON"],
)
def test_a_manifest_is_printed_whether_it_is_understood_or_not(
    registry: SmallRegistry, raw: bytes
) -> None:
    registry.manifests["a", digest_of(raw)] = Manifest(raw=raw, media_type="application/json")
    registry.tags["a", "1"] = digest_of(raw)
    assert run("manifest", f"{registry.host}/a:1").stdout_bytes == raw


def test_the_digest_of_a_tag_costs_no_pull(registry: SmallRegistry) -> None:
    value = index()
    write(value, f"{registry.host}/a:1")
    registry.requests.clear()
    found = run("digest", f"{registry.host}/a:1", "--full-ref")
    assert found.stdout == f"{registry.host}/a@{value.digest}\n"
    assert [line for line in registry.requests if "manifests" in line] == ["HEAD /v2/a/manifests/1"]


def test_repositories_are_listed_page_by_page(registry: SmallRegistry) -> None:
    for name in ("a", "b/c", "d", "b/e", "f"):
        write(image(), f"{registry.host}/{name}:1")
    found = run("repos", registry.host)
    assert found.stdout.split() == [
        f"{registry.host}/{name}" for name in ("a", "b/c", "b/e", "d", "f")
    ]
    assert run("repos", registry.host, "--match", "b/*").stdout.split() == [
        f"{registry.host}/b/c", f"{registry.host}/b/e",
    ]  # fmt: skip


def test_a_registry_that_lists_no_repositories_says_so(registry: SmallRegistry) -> None:
    registry.statuses["GET /v2/_catalog"] = 404
    result = run("repos", registry.host)
    assert isinstance(result.exception, HomeportError)
    assert result.exception.what.startswith(f"{registry.host}: cannot list the repositories")
    assert result.exception.hint
    assert result.exception.hint.endswith(f"homeport tags {registry.host}/…")


def test_tags_of_layouts_and_archives_are_listed() -> None:
    write(image(), "oci:layout:1.0", "oci:layout:2.0", PLACES[1], PLACES[2])
    assert run("tags", "oci:layout").stdout.split() == ["1.0", "2.0"]
    assert run("tags", "./layout", "--match", "2*").stdout.split() == ["2.0"]
    assert run("tags", "oci-archive:o.tar").stdout.split() == ["1.0"]
    assert run("tags", "./d.tar").stdout.split() == [NAME]
    refused = run("tags", "docker-daemon:copy")
    assert isinstance(refused.exception, UsageError)
    assert refused.exception.hint == "docker image ls"


@pytest.mark.parametrize("place", ["oci:layout", "oci-archive:o.tar", "docker-archive:d.tar"])
def test_a_blob_of_a_local_image_is_verified(place: str) -> None:
    value = image()
    write(value, "oci:layout:1.0", PLACES[1], PLACES[2])
    digest = value.document.parsed.layers[0].digest
    found = run("blob", f"{place}@{digest}")
    assert found.stdout_bytes == everything(value)[digest]
    absent = run("blob", f"{place}@sha256:{'0' * 64}")
    assert isinstance(absent.exception, Missing)


def test_a_line_of_a_layout_is_deleted_and_no_other() -> None:
    one, two = image(), image("linux/arm64")
    write(one, "oci:layout:1", "oci:layout:2")
    write(two, "oci:layout:3")
    done = run("delete", "oci:layout:1", "--format", "json")
    assert json.loads(done.stdout)["tags_after"] == ["2", "3"]
    assert run("delete", "oci:layout:1").stdout.startswith("oci:layout:1 does not exist")
    assert run("delete", f"oci:layout@{two.digest}").exit_code == 0
    assert run("tags", "oci:layout").stdout.split() == ["2"]
    write(one, "oci:layout:4")
    assert run("delete", "oci:layout:4", "--with-all-tags").exit_code == 0
    assert run("tags", "oci:layout").stdout == ""
    refused = run("delete", "oci:layout")
    assert isinstance(refused.exception, UsageError)


def test_every_fault_of_an_image_is_named_at_once() -> None:
    value = index([image(), image("linux/arm64")])
    write(value, "oci:layout:1")
    one, two = (child.open() for child in value.children)
    assert isinstance(one, Image)
    assert isinstance(two, Image)
    damaged = Path("layout") / blob_name(one.document.parsed.layers[0].parsed_digest)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    (Path("layout") / blob_name(two.digest)).unlink()
    result = run("validate", "oci:layout:1", "--format", "json")
    found = json.loads(result.stdout)
    assert [fault["digest"] for fault in found["faults"]] == [
        one.document.parsed.layers[0].digest, str(two.digest),
    ]  # fmt: skip
    assert not found["valid"]
    assert isinstance(result.exception, AnswerNo)


def test_a_layer_that_is_not_the_configs_is_a_fault(registry: SmallRegistry) -> None:
    one = Layer(layer({"a": b"1"}).data, layer({"a": b"2"}).plain)
    write(image(layers=[one]), f"{registry.host}/a:1")
    result = run("validate", f"{registry.host}/a:1")
    assert "the layer unpacks to sha256:" in result.stdout
    assert isinstance(result.exception, AnswerNo)


def test_a_blob_that_a_registry_lost_is_found_without_reading_any(registry: SmallRegistry) -> None:
    value = image()
    write(value, f"{registry.host}/a:1")
    del registry.blobs["a", value.document.parsed.layers[0].digest]
    registry.requests.clear()
    result = run("validate", f"{registry.host}/a:1", "--fast")
    assert "lacks" in result.stdout
    read = [line for line in registry.requests if line.startswith("GET") and "/blobs/" in line]
    assert all(value.document.parsed.config.digest in line for line in read)


def test_skopeos_directory_is_an_address_by_its_path_alone() -> None:
    write(image(), "dir:saved")
    assert str(parse_source("saved")) == "dir:saved"
    assert str(parse_source("./saved")) == "dir:saved"


def test_an_older_image_leaves_nothing_in_a_directory() -> None:
    old, new = index(), image("linux/s390x")
    write(old, "dir:saved")
    Path("saved/README").write_text("mine")
    write(new, "dir:saved")
    names = {path.name for path in Path("saved").iterdir()}
    assert names == {
        "README", "manifest.json", "version",
        *(blob.digest.partition(":")[2] for blob in new.document.parsed.content),
    }  # fmt: skip


def test_another_directory_is_not_written_into() -> None:
    Path("mine").mkdir()
    Path("mine/file").write_text("x")
    with pytest.raises(HomeportError, match="not a directory of an image and not empty"):
        write(image(), "dir:mine")
    assert [path.name for path in Path("mine").iterdir()] == ["file"]


def test_layouts_are_read_in_place(tmp_path: Path) -> None:
    OciLayout(LayoutAddress(path=tmp_path / "l", tag="1")).write(image(), runtime())
    before = sorted(str(path) for path in (tmp_path / "l").rglob("*"))
    assert run("validate", "./l").exit_code == 0
    assert sorted(str(path) for path in (tmp_path / "l").rglob("*")) == before


def test_what_was_written_is_printed_as_a_reference_to_paste(registry: SmallRegistry) -> None:
    value = index()
    write(value, "oci:layout:1")
    name = f"{registry.host}/a"
    reference = f"{name}@{value.digest}\n"
    assert run("push", "oci:layout:1", f"{name}:1").stdout == reference
    assert run("retag", f"{name}:1", "2").stdout == reference
    assert run("mirror", f"{name}:1", f"{registry.host}/b:1").stdout == (
        f"{registry.host}/b@{value.digest}\n"
    )
    assert run("pull", f"{name}:1", "oci:back").stdout == f"oci:back@{value.digest}\n"
    assert run("digest", f"oci:back@{value.digest}").stdout == f"{value.digest}\n"
    again = run("import", f"{name}:1", f"{registry.host}/c:1")
    assert again.stdout == f"{registry.host}/c@{value.digest}\n"
