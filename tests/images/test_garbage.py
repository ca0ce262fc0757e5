"""A layout that is written into again and again loses what nothing leads to any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders.images import artifact, everything, image, index
from builders.runtime import runtime
from homeport.cli.main import homeport
from homeport.images.address import LayoutAddress
from homeport.images.garbage import collect_garbage
from homeport.images.image import Image, Index
from homeport.images.storage.files import BadLayout
from homeport.images.transports import oci_layout
from homeport.images.transports.oci_layout import OciLayout
from homeport.progress import Silent


def write(root: Path, value: Image | Index, tag: str = "1") -> None:
    OciLayout(LayoutAddress(path=root, tag=tag)).write(value, runtime())


def blobs(root: Path) -> set[str]:
    return {f"sha256:{path.name}" for path in (root / "blobs/sha256").iterdir()}


def test_what_no_tag_reaches_goes_and_the_rest_stays(tmp_path: Path) -> None:
    old, new, other = index(), image("linux/s390x"), artifact()
    write(tmp_path, old)
    write(tmp_path, new)  # the tag moves
    write(tmp_path, other, "artifact")
    before = blobs(tmp_path)
    planned = collect_garbage(tmp_path, runtime().cancel, dry_run=True)
    assert blobs(tmp_path) == before
    done = collect_garbage(tmp_path, runtime().cancel)
    assert done == planned
    assert blobs(tmp_path) == {*map(str, everything(new)), *map(str, everything(other))}
    assert (done.removed, done.kept) == (len(before - blobs(tmp_path)), len(blobs(tmp_path)))
    assert collect_garbage(tmp_path, runtime().cancel).removed == 0


def test_a_write_says_when_most_of_a_layout_is_garbage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci_layout, "WORTH_COLLECTING", 1000)
    notes: list[str] = []

    class Noting(Silent):
        def note(self, id: str, text: str) -> None:
            notes.append(text)

    layout = OciLayout(LayoutAddress(path=tmp_path / "l", tag="1"))
    layout.write(index(), runtime(progress=Noting()))
    layout.write(index(), runtime(progress=Noting()))
    assert notes == []
    layout.write(image("linux/s390x"), runtime(progress=Noting()))
    assert len(notes) == 1
    assert notes[0].endswith(f"to remove them: homeport gc {tmp_path}/l")


def test_documents_of_unknown_kinds_keep_what_they_name(tmp_path: Path) -> None:
    value = image()
    write(tmp_path, value)
    document = json.loads((tmp_path / "index.json").read_text())
    document["manifests"][0]["mediaType"] = "application/vnd.example.unknown+json"
    (tmp_path / "index.json").write_text(json.dumps(document))
    before = blobs(tmp_path)
    collect_garbage(tmp_path, runtime().cancel)
    assert blobs(tmp_path) == before


def test_files_with_other_names_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, image())
    (tmp_path / "blobs/sha256/README").write_text("not a blob")
    (tmp_path / "blobs/other").mkdir()
    collect_garbage(tmp_path, runtime().cancel)
    assert (tmp_path / "blobs/sha256/README").exists()


def test_a_folder_that_is_no_layout_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(BadLayout, match="is not an OCI image layout"):
        collect_garbage(tmp_path, runtime().cancel)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "layout"
    write(root, image("linux/arm64"))
    write(root, image())
    result = CliRunner().invoke(homeport, ["gc", f"oci:{root}", "--dry-run"])
    assert result.stdout.startswith("would remove 3 blobs")
    result = CliRunner().invoke(homeport, ["gc", str(root), "--format", "json"])
    assert json.loads(result.stdout) == {
        "schema": "homeport-gc/v1", "layout": str(root), "dry_run": False, "removed": 3,
        "removed_bytes": json.loads(result.stdout)["removed_bytes"], "kept": 3,
    }  # fmt: skip
