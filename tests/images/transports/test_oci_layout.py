"""The layout directory: what a write leaves, what it keeps, and whose layouts are read."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import NoReturn

import pytest
from msgspec.structs import replace

from builders.images import artifact, everything, image, index, layer
from builders.runtime import runtime
from homeport.content.blob import FileBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, ImageNotFound, Index
from homeport.images.platforms import platforms_of
from homeport.images.storage.files import BadLayout
from homeport.images.storage.layout import REF_NAME, blob_name
from homeport.images.transports.oci_layout import OciLayout


def layout(folder: Path, tag: str = "", digest: Digest | None = None) -> OciLayout:
    return OciLayout(LayoutAddress(path=folder, tag=tag, digest=digest))


def digest_read(folder: Path, tag: str = "", digest: Digest | None = None) -> Digest:
    with layout(folder, tag, digest).open(runtime()) as value:
        return value.digest


def edit_index(folder: Path, edit) -> None:
    path = folder / "index.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_a_layout_is_what_the_specification_draws(tmp_path: Path) -> None:
    value = image()
    written = layout(tmp_path / "new" / "deep").write(value, runtime())
    root = tmp_path / "new" / "deep"
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((root / "index.json").read_text()) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": str(value.digest),
                "size": value.document.size,
                "annotations": {REF_NAME: "latest"},
                "platform": {"architecture": "amd64", "os": "linux"},
            }
        ],
    }
    names = sorted(path.name for path in (root / "blobs" / "sha256").iterdir())
    assert names == sorted(name.removeprefix("sha256:") for name in everything(value))
    assert (written.copied, written.present) == (3, 0)
    assert sorted(path.name for path in root.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_only_the_written_tag_is_replaced_and_others_keep_fields_that_we_do_not_know(
    tmp_path: Path,
) -> None:
    layout(tmp_path, "1.0").write(image(), runtime())
    layout(tmp_path, "2.0").write(image("linux/arm64"), runtime())

    def add(document) -> None:
        document["org.example"] = {"a": [1, 2.5, None]}
        document["manifests"][1]["org.example"] = "kept"
        document["manifests"].append({**document["manifests"][0], "annotations": {}})

    edit_index(tmp_path, add)
    before = json.loads((tmp_path / "index.json").read_text())
    new = image(layers=[layer({"new": b""})])
    layout(tmp_path, "1.0").write(new, runtime())
    after = json.loads((tmp_path / "index.json").read_text())
    assert after["manifests"][0]["digest"] == str(new.digest)
    assert after["manifests"][1:] == before["manifests"][1:]
    assert after["org.example"] == before["org.example"]


def test_a_tag_that_stood_twice_stands_once_after_writing_it(tmp_path: Path) -> None:
    layout(tmp_path, "1.0").write(image(), runtime())
    edit_index(tmp_path, lambda document: document["manifests"].extend(document["manifests"]))
    new = image("linux/arm64")
    layout(tmp_path, "1.0").write(new, runtime())
    lines = json.loads((tmp_path / "index.json").read_text())["manifests"]
    assert [line["digest"] for line in lines] == [str(new.digest)]


def test_writing_the_same_again_touches_no_file(tmp_path: Path) -> None:
    value = index()
    layout(tmp_path).write(value, runtime())

    def files() -> dict[Path, tuple[int, int]]:
        """What a write would change; reading changes the time of access."""
        found = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {path: (path.stat().st_ino, path.stat().st_ctime_ns) for path in found}

    before = files()
    written = layout(tmp_path).write(value, runtime())
    assert (written.copied, written.copied_bytes) == (0, 0)
    assert files() == before


def test_a_blob_of_the_wrong_size_is_written_again(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path).write(value, runtime())
    for blob in (tmp_path / "blobs" / "sha256").iterdir():
        good = blob.read_bytes()
        blob.write_bytes(good + b"x")
        assert layout(tmp_path).write(value, runtime()).copied == 1
        assert blob.read_bytes() == good


def test_a_damaged_blob_of_the_right_size_is_written_again(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path).write(value, runtime())
    blob = next((tmp_path / "blobs" / "sha256").iterdir())
    good = blob.read_bytes()
    blob.write_bytes(bytes(len(good)))
    assert layout(tmp_path).write(value, runtime()).copied == 1
    assert blob.read_bytes() == good


def test_content_of_the_store_is_shared_not_copied(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    value = image(layers=[layer({"a": bytes(1 << 20)}, "none")])
    blobs = {digest: store.put_bytes(read_all(blob)) for digest, blob in value.blobs.items()}
    stored = Image(document=value.document, blobs=blobs, platform=value.platform)
    layout(tmp_path / "layout").write(stored, runtime())
    for digest, blob in blobs.items():
        copy = tmp_path / "layout" / "blobs" / "sha256" / digest.hex
        # A clone has an inode of its own; where the filesystem has none, it is a hard link.
        assert copy.read_bytes() == blob.path.read_bytes()
    assert digest_read(tmp_path / "layout") == value.digest


def test_a_damaged_file_of_the_store_does_not_get_into_a_layout(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    value = image()
    blobs = {digest: store.put_bytes(read_all(blob)) for digest, blob in value.blobs.items()}
    victim = next(iter(blobs.values()))
    victim.path.write_bytes(bytes(victim.size))
    with pytest.raises(HomeportError, match=victim.digest.hex):
        layout(tmp_path / "layout").write(
            Image(document=value.document, blobs=blobs, platform=value.platform), runtime()
        )
    assert not (tmp_path / "layout" / "blobs" / "sha256" / victim.digest.hex).exists()


def test_what_was_verified_while_it_came_in_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "cache")
    value = image()
    kept = {digest: store.put(blob.open()) for digest, blob in value.blobs.items()}

    def nobody_reads(_self: FileBlob, _offset: int = 0) -> NoReturn:
        raise AssertionError("read again")

    monkeypatch.setattr(FileBlob, "open", nobody_reads)
    layout(tmp_path / "out").write(replace(value, blobs=kept), runtime())

    assert all((tmp_path / "out" / blob_name(d)).stat().st_size == b.size for d, b in kept.items())


def read_all(blob) -> bytes:
    with blob.open() as stream:
        return stream.read()


@pytest.mark.parametrize("name", ["notes.txt", "index.json"])
def test_a_directory_that_is_no_layout_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadLayout, match="is not an OCI image layout and not empty"):
        layout(tmp_path).write(image(), runtime())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_blobs_are_not_written_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "layout"
    root.mkdir()
    (root / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadLayout, match="is a link"):
        layout(root).write(image(), runtime())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("target", ["blob", "blobs", "index.json", "oci-layout"])
def test_links_out_of_a_layout_are_not_followed(target: str, tmp_path: Path) -> None:
    root = tmp_path / "layout"
    value = image()
    layout(root).write(value, runtime())
    path = root / "blobs" / "sha256" / value.digest.hex if target == "blob" else root / target
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(BadLayout, match=r"symbolic link|not a regular file"):
        digest_read(root)


def test_a_named_pipe_in_a_layout_does_not_stop_us(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path).write(value, runtime())
    blob = tmp_path / "blobs" / "sha256" / value.digest.hex
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(BadLayout, match="not a regular file"):
        digest_read(tmp_path)


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    layout(tmp_path).write(image(), runtime())
    abandoned = tmp_path / ".homeport-0123456789abcdef"
    abandoned.mkdir()
    (abandoned / "half").write_bytes(b"half a blob")
    layout(tmp_path).write(image("linux/arm64"), runtime())
    assert not abandoned.exists()


def _write_many(folder: Path, worker: int) -> None:
    for n in range(5):
        value = image(layers=[layer({"a": b"%d %d" % (worker, n)}), layer({"shared": b""})])
        layout(folder, f"{worker}.{n}").write(value, runtime())


def test_concurrent_writers_lose_no_tag(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write_many, args=(tmp_path, n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    for n in range(4):
        for m in range(5):
            with layout(tmp_path, f"{n}.{m}").open(runtime()) as value:
                everything(value)


def _write_forever(folder: Path) -> None:
    n = 0
    while True:
        n += 1
        value = index([image(layers=[layer({"a": b"%d" % n})]), image("linux/arm64")])
        layout(folder, "1.0").write(value, runtime())


def test_a_writer_killed_at_any_moment_leaves_a_whole_image(tmp_path: Path) -> None:
    layout(tmp_path, "1.0").write(image(), runtime())
    context = multiprocessing.get_context("fork")
    for n in range(15):
        worker = context.Process(target=_write_forever, args=(tmp_path,))
        worker.start()
        worker.join(timeout=0.003 * (n + 1))
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        with layout(tmp_path, "1.0").open(runtime()) as value:
            everything(value)
    layout(tmp_path, "1.0").write(image(), runtime())
    assert {path.name for path in tmp_path.iterdir()} == {"blobs", "index.json", "oci-layout"}


# -- layouts of others


def test_the_only_image_needs_no_tag(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path, "v1").write(value, runtime())
    assert digest_read(tmp_path) == value.digest


def test_of_several_images_latest_is_meant(tmp_path: Path) -> None:
    layout(tmp_path, "v1").write(image("linux/arm64"), runtime())
    latest = image()
    layout(tmp_path).write(latest, runtime())
    assert digest_read(tmp_path) == latest.digest


def test_of_several_images_without_latest_the_tags_are_listed(tmp_path: Path) -> None:
    for tag, platform in (("v1", "linux/amd64"), ("v2", "linux/arm64")):
        layout(tmp_path, tag).write(image(platform), runtime())
    with pytest.raises(ImageNotFound, match="several images") as caught:
        digest_read(tmp_path)
    assert caught.value.hint == "there is v1, v2"


@pytest.mark.parametrize("tag", ["v1.0-ü", "registry.example/copy:1", "日本", "a b"])
def test_tags_of_others_may_be_any_text(tag: str, tmp_path: Path) -> None:
    value = image()
    layout(tmp_path, "other").write(image("linux/arm64"), runtime())
    layout(tmp_path, "v1").write(value, runtime())

    def rename(document) -> None:
        document["manifests"][1]["annotations"][REF_NAME] = tag

    edit_index(tmp_path, rename)
    assert digest_read(tmp_path, tag) == value.digest


def test_the_full_name_that_buildkit_writes_is_found(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path, "1").write(value, runtime())
    layout(tmp_path, "2").write(image("linux/arm64"), runtime())

    def rename(document) -> None:
        name = "docker.io/library/copy:1"
        document["manifests"][0]["annotations"]["io.containerd.image.name"] = name

    edit_index(tmp_path, rename)
    assert digest_read(tmp_path, "docker.io/library/copy:1") == value.digest


def test_an_index_json_that_lists_platforms_itself_is_the_index(tmp_path: Path) -> None:
    images = [image("linux/amd64"), image("linux/arm64")]
    for n, value in enumerate(images):
        layout(tmp_path, str(n)).write(value, runtime())

    def untag(document) -> None:
        for line in document["manifests"]:
            del line["annotations"]

    edit_index(tmp_path, untag)
    with layout(tmp_path).open(runtime()) as value:
        assert isinstance(value, Index)
        assert value.document.raw == (tmp_path / "index.json").read_bytes()
        assert [child.open().digest for child in value.children] == [one.digest for one in images]


def one_tag_twice(folder: Path, *values: Image) -> None:
    for tag, value in zip(("v1", "v2"), values, strict=True):
        layout(folder, tag).write(value, runtime())

    def same(document) -> None:
        document["manifests"][1]["annotations"][REF_NAME] = "v1"

    edit_index(folder, same)


def test_one_tag_on_the_line_of_each_platform_is_an_index_of_them(tmp_path: Path) -> None:
    one_tag_twice(tmp_path, image("linux/amd64"), image("linux/arm64"))
    with layout(tmp_path, "v1").open(runtime()) as value:
        assert [str(platform) for platform in platforms_of(value)] == ["linux/amd64", "linux/arm64"]


def test_two_tags_of_one_image_leave_no_doubt(tmp_path: Path) -> None:
    for tag in ("v1", "v2"):
        layout(tmp_path, tag).write(image(), runtime())
    assert digest_read(tmp_path) == image().digest


def test_one_tag_for_two_images_is_an_error_that_offers_digests(tmp_path: Path) -> None:
    one_tag_twice(tmp_path, image(), image(layers=[layer({"other": b"content"})]))
    with pytest.raises(BadLayout, match="2 different images with the tag v1") as caught:
        digest_read(tmp_path, "v1")
    assert "@sha256:" in (caught.value.hint or "")


def test_an_image_is_found_by_digest_below_an_index_too(tmp_path: Path) -> None:
    child = image("linux/arm64")
    layout(tmp_path).write(index([image(), child]), runtime())
    assert digest_read(tmp_path, digest=child.digest) == child.digest
    with pytest.raises(HomeportError, match="lacks blobs/sha256/"):
        digest_read(tmp_path, digest=Digest.of(b"absent"))


def test_sha512_digests_have_a_folder_of_their_own(tmp_path: Path) -> None:
    from homeport.oci.documents import Document

    value = image()
    document = value.document
    long = Document(
        document.raw, document.parsed, document.media_type, Digest.of(document.raw, "sha512")
    )
    renamed = Image(document=long, blobs=value.blobs, platform=value.platform)
    layout(tmp_path).write(renamed, runtime())
    assert (tmp_path / "blobs" / "sha512" / long.digest.hex).exists()
    assert digest_read(tmp_path) == long.digest


def test_an_artifact_has_no_platform(tmp_path: Path) -> None:
    layout(tmp_path).write(artifact(), runtime())
    with layout(tmp_path).open(runtime()) as value:
        assert isinstance(value, Image)
        assert (value.is_artifact, value.platform, value.config()) == (True, None, None)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("oci-layout", None, "it has no oci-layout file"),
        ("oci-layout", b"{}", "oci-layout is not valid"),
        ("oci-layout", b"\xff", "oci-layout is not valid"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "unknown version '2.0.0'"),
        ("oci-layout", b" " * 70000, "larger than 65.54 kB"),
        ("index.json", None, "has no index.json"),
        ("index.json", b"", "index.json is not valid"),
        ("index.json", b"[" * 100_000, "index.json is not valid"),
        ("index.json", b'{"schemaVersion":2,"manifests":null}', "holds no image"),
        ("index.json", b'{"schemaVersion":2,"manifests":[]}', "holds no image"),
        ("index.json", b'{"manifests":[],"Manifests":[]}', "manifests, Manifests"),
        ("index.json", b'{"manifests":[],"manifests":[]}', "manifests (twice)"),
        (
            "index.json",
            b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:../../x","size":1}]}',
            "invalid digest",
        ),
        (
            "index.json",
            b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:%s","size":-1}]}'
            % (b"0" * 64),
            "size -1",
        ),
        (
            "index.json",
            b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:%s","size":5000000}]}'
            % (b"0" * 64),
            "with 5.00 MB, more than 4.19 MB",
        ),
    ],
)
def test_a_layout_that_is_not_one_is_an_error_that_says_why(
    name: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    layout(tmp_path).write(image(), runtime())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(HomeportError) as caught:
        digest_read(tmp_path)
    assert says in caught.value.what
    assert str(tmp_path) in f"{caught.value.what} {caught.value.where}"


def test_a_write_that_was_cut_before_its_end_can_be_made_again(tmp_path: Path) -> None:
    value = image()
    layout(tmp_path).write(value, runtime())
    (tmp_path / "index.json").unlink()
    layout(tmp_path).write(value, runtime())
    assert digest_read(tmp_path) == value.digest
