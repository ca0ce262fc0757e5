"""``homeport inspect``, ``diff`` and ``extract`` as a user runs them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from builders.images import index
from builders.inspection import file, layer, made, whiteout
from builders.runtime import runtime
from homeport.cli.main import run
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.images.address import LayoutAddress
from homeport.images.image import Image, Index
from homeport.images.transports.oci_layout import OciLayout
from homeport.oci.documents import written


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOMEPORT_NO_PROGRESS", "1")
    monkeypatch.chdir(tmp_path)


def write(value: Image | Index, name: str = "one") -> str:
    OciLayout(LayoutAddress(path=Path(name), tag="1")).write(value, runtime())
    return f"oci:{name}:1"


def two_layers() -> Image:
    return made(
        layer(file("a", b"1" * 100), file("b", b"hello\n")), layer(whiteout("a"), file("c", b"2"))
    )


def asked(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(list(arguments)) == code, capsys.readouterr().err
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(asked(capsys, *arguments, "--format", "json", code=code))
    return found


def test_every_form_of_the_answer_names_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    address = write(two_layers())
    for options, schema in (
        ((), "homeport-inspect/v1"),
        (("--files",), "homeport-inspect-files/v1"),
        (("--layer", "1"), "homeport-inspect-files/v1"),
        (("--waste",), "homeport-inspect-waste/v1"),
        (("--binaries",), "homeport-inspect-binary/v1"),
        (("--verify",), "homeport-inspect-verify/v1"),
        (("--rule", "max-size=1MB"), "homeport-inspect-rules/v1"),
        (("--html", "page.html"), "homeport-inspect-html/v1"),
    ):
        assert document(capsys, "inspect", address, *options)["schema"] == schema
    assert document(capsys, "diff", address, address)["schema"] == "homeport-diff/v1"
    assert document(capsys, "extract", address, "b", "-o", "out")["schema"] == "homeport-extract/v1"


def test_a_layer_is_shown_with_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    address = write(two_layers())
    rows = document(capsys, "inspect", address, "--layer", "1")["files"]
    assert [(row["path"], row["change"]) for row in rows] == [("/a", "removed"), ("/c", "added")]
    assert rows[0]["wasted"] == 100
    text = asked(capsys, "inspect", address, "--path", "/a")
    assert "layer 0: added\n      layer 1: removed" in text


def test_the_waste_of_every_file_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "inspect", write(two_layers()), "--waste")
    assert found["by_cause"] == {"removed": 100}
    assert found["paths"][0]["path"] == "/a"
    assert found["dive"]["wasted_bytes"] == 100


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (("--layer", "9"), 2, "the image has no layer 9: its layers are numbered 0 to 1"),
        (("--layer", "0", "--path", "/nothing"), 2, "no path in layer 0 matches /nothing"),
        (("--path", "/nothing"), 1, "path not found in the image: /nothing"),
        (("--binary", "/a"), 1, "/a was removed by layer 1; it exists in layer 0"),
        (("--platform", "linux/s390x"), 1, "no image for linux/s390x"),
        (("--rule", "max-size=1"), 3, "the image breaks 1 rule: max-size"),
        (("--rule", "no-such=1"), 2, "unknown rule 'no-such'"),
        (("--files", "--waste"), 2, "options cannot be combined: --files, --layer, --path; --"),
        (("--ci", "--verify"), 2, "options cannot be combined: --verify; --html, --ci"),
        (("-i",), 2, "the explorer requires a terminal"),
    ],
)
def test_one_clear_error_each(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: int, what: str
) -> None:
    address = write(two_layers())
    assert run(["inspect", address, *options]) == code
    assert what in capsys.readouterr().err


def test_what_is_no_image_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("junk.tar").write_bytes(b"junk" * 1000)
    assert run(["inspect", "docker-archive:junk.tar"]) == 1
    assert run(["inspect", "oci:nowhere"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_blob_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    image = two_layers()
    address = write(image)
    digest = image.document.parsed.layers[1].digest
    (Path("one/blobs/sha256") / digest.partition(":")[2]).unlink()
    assert run(["inspect", address]) == 1
    assert digest in capsys.readouterr().err


def test_dives_rules_are_checked_from_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".dive-ci").write_text("rules:\n  lowestEfficiency: 0.95\n")
    assert run(["inspect", write(two_layers()), "--ci"]) == 3
    assert "FAILED  min-efficiency  0.95" in capsys.readouterr().out


def test_a_page_is_written_beside_the_verdict_on_rules(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--html", "page.html", "--rule", "max-size=1")
    assert "FAILED  max-size" in asked(capsys, "inspect", write(two_layers()), *options, code=3)
    assert Path("page.html").stat().st_size > 1000


def _rewritten(change: Callable[[dict[str, Any], Path], None]) -> str:
    """The two layers, their manifest changed after they were written."""
    write(two_layers())
    listed = Path("one/index.json")
    found = json.loads(listed.read_bytes())
    blobs = Path("one/blobs/sha256")
    manifest = json.loads((blobs / found["manifests"][0]["digest"].partition(":")[2]).read_bytes())
    change(manifest, blobs)
    data = json.dumps(manifest).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    found["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(data)}
    listed.write_text(json.dumps(found))
    return "oci:one:1"


def _encrypted(manifest: dict[str, Any], _blobs: Path) -> None:
    manifest["layers"][1]["mediaType"] += "+encrypted"


def _foreign(manifest: dict[str, Any], blobs: Path) -> None:
    layer = manifest["layers"][0]
    layer["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layer["urls"] = ["https://registry.example/layer"]
    (blobs / layer["digest"].partition(":")[2]).unlink()


def _artifact(manifest: dict[str, Any], _blobs: Path) -> None:
    manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    manifest["layers"] = manifest["layers"][:1]
    manifest["layers"][0]["mediaType"] = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        (_encrypted, "layer 1 is encrypted", "decrypt the image first"),
        (_foreign, "layer 0 is a non-distributable layer", "https://registry.example/layer"),
        (_artifact, "this is an artifact, not an image", "homeport manifest"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "files", "extract", "diff"])
def test_layers_that_cannot_be_looked_into_are_one_clear_error_of_every_command(
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any], Path], None],
    what: str,
    hint: str,
    command: str,
) -> None:
    address = _rewritten(change)
    arguments = {
        "inspect": ("inspect", address),
        "files": ("inspect", address, "--files"),
        "extract": ("extract", address, "/c", "-o", "-"),
        "diff": ("diff", address, write(made(layer(file("b"))), "two")),
    }
    assert run(list(arguments[command])) == 1
    said = capsys.readouterr().err
    assert what in said
    assert hint in said
    assert said.count("error: ") == 1


def test_the_platforms_of_an_index_are_named_when_none_is_the_wanted_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["inspect", write(index()), "--platform", "linux/mips"]) == 1
    said = capsys.readouterr().err
    assert "linux/mips" in said
    assert "linux/arm/v7" in said
    assert "linux/riscv64" in said


def test_a_base_image_is_recognised_by_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    lowest, top = layer(file("a", b"1")), layer(file("b"))
    base, other = write(made(lowest), "base"), write(made(layer(file("x"))), "other")
    address = write(made(lowest, top))
    found = document(capsys, "inspect", address, "--base", other, "--base", base)["image"]["base"]
    assert (found["image"], found["layers"]) == (base, 1)
    assert asked(capsys, "inspect", address, "--base", base, "--rule", f"base-in={base}")
    assert "image" not in document(capsys, "inspect", address, "--base", other)["image"]["base"]


def test_one_file_goes_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert run(["extract", write(two_layers()), "/b", "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == b"hello\n"


def test_images_that_differ_exit_with_three_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = write(two_layers()), write(made(layer(file("b", b"hullo\n"))), "two")
    assert run(["diff", one, other]) == 0
    assert run(["diff", one, other, "--exit-code"]) == 3
    assert run(["diff", one, one, "--exit-code"]) == 0
    assert "-hello" in capsys.readouterr().out


def test_two_platforms_of_one_index_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    address = write(index())
    found = document(capsys, "diff", address, "--platform", "amd64,arm64")
    assert [row["path"] for row in found["images"][0]["files"]] == ["/own"]
    assert run(["diff", address]) == 2


def test_paths_are_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    write(two_layers(), "one.oci")
    for format in ("oci-archive", "docker-archive"):
        asked(capsys, "pull", "oci:one.oci:1", f"{format}:{format}.tar")
    expected = document(capsys, "inspect", "oci:one.oci:1")["image"]["digest"]
    for path in ("one.oci", "./one.oci:1", "oci-archive.tar", "./oci-archive.tar"):
        assert document(capsys, "inspect", path)["image"]["digest"] == expected
    assert document(capsys, "extract", "docker-archive.tar", "c", "-o", "out")["files"] == 1
    assert document(capsys, "diff", "one.oci", "docker-archive.tar")["same"] is True


def test_an_odd_config_is_told_field_by_field_and_the_rest_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = write(with_config(two_layers(), Env=["A=1"], Cmd=5, User={}))
    found = document(capsys, "inspect", address)["image"]
    assert found["config"]["Env"] == ["A=1"]
    assert [(one["kind"], one["examples"]) for one in found["anomalies"]] == [
        (
            "unreadable config field",
            [
                "config.Cmd: Expected `array | null`, got `int`",
                "config.User: Expected `str`, got `object`",
            ],
        )
    ]
    assert "/b" in asked(capsys, "inspect", address, "--files")
    asked(capsys, "diff", address, write(two_layers(), "two"))


def with_config(value: Image, **fields: object) -> Image:
    """The same layers with another ``config`` object in the image's config."""
    image_config = value.config()
    assert image_config is not None
    raw = json.dumps(json.loads(image_config.raw) | {"config": fields}).encode()
    parsed = value.document.parsed
    descriptor = replace(parsed.config, digest=str(Digest.of(raw)), size=len(raw))
    manifest = written(replace(parsed, config=descriptor), value.document.media_type)
    blobs = {**value.blobs, Digest.of(raw): BytesBlob(raw)}
    return replace(value, document=manifest, blobs=blobs)
