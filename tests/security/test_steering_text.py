"""Text of a hostile image or registry adds no line to any output and steers no terminal.

Each command runs on an image whose names and values have line breaks, commands of CI systems and
escape sequences, and on the same image without: the output has as many lines, all visible.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.images import Layer
from builders.inspection import file, layer, symlink
from builders.small_registry import small_registry
from homeport.cli.main import run
from homeport.content.digest import Digest

ONE_LINE = "x\x07"  # hidden, too, so that reports mention it alike
HOSTILE = "x\n::error::forged\r\n##[group]y\x1b[2J\x1b]0;t\x07\x9b1A\u202e\u2066\u200b\x7f"
OCI = "application/vnd.oci.image"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOMEPORT_NO_PROGRESS", "1")
    monkeypatch.chdir(tmp_path)


def write_image(folder: Path, text: str) -> str:
    """A layout with an image of two platforms that has ``text`` wherever text is allowed."""
    status = "Package: {0}\nStatus: install ok installed\nVersion: 1{0}\nArchitecture: {0}\n\n"
    one_line = " ".join(text.split("\n"))  # a field of a database has no line break
    layers = [
        layer(
            file(f"d/{text}", b"\x7fELF" + bytes(100), mode=0o4755),
            symlink(f"l{text}", f"gone/{text}"),
            file("etc/os-release", f"ID={one_line}\nVERSION_ID={one_line}\n".encode()),
            file("var/lib/dpkg/status", status.format(one_line).encode()),
        ),
        layer(file(f"d/.wh.{text}", b""), file(f"e/{text}")),
    ]
    manifests = [
        {
            **_image(folder, layers, text),
            "platform": {"os": "linux", "architecture": f"amd64{variant}", "variant": variant},
            "annotations": {"org.opencontainers.image.ref.name": "1"},
        }
        for variant in ("", text)
    ]
    index = {"schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": manifests}
    child = _blob(folder, json.dumps(index).encode())
    name = {"org.opencontainers.image.ref.name": "1"}
    top = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": index["mediaType"], **child, "annotations": name}],
    }
    (folder / "index.json").write_text(json.dumps(top))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{folder}:1"


def _image(folder: Path, layers: list[Layer], text: str) -> dict[str, object]:
    config = {
        "architecture": "amd64", "os": "linux", "author": text, "created": text,
        "config": {
            "Env": [f"A={text}"], "Labels": {text: text}, "Cmd": [text], "User": text,
            "WorkingDir": text, "ExposedPorts": {text: {}}, "Volumes": {text: {}},
        },
        "history": [{"created_by": text, "comment": text, "created": text}] * 2,
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
    }  # fmt: skip
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": {
            "mediaType": f"{OCI}.config.v1+json", **_blob(folder, json.dumps(config).encode())
        },
        "layers": [{"mediaType": one.media_type, **_blob(folder, one.data)} for one in layers],
        "annotations": {text: text, "org.opencontainers.image.base.name": text},
    }  # fmt: skip
    raw = json.dumps(manifest).encode()
    return {"mediaType": manifest["mediaType"], **_blob(folder, raw)}


def _blob(folder: Path, data: bytes) -> dict[str, object]:
    digest = Digest.of(data)
    place = folder / "blobs/sha256" / digest.hex
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"digest": str(digest), "size": len(data)}


COMMANDS = [
    "inspect IMAGE", "inspect IMAGE -v", "inspect IMAGE --files", "inspect IMAGE --layer 1",
    "inspect IMAGE --path 'd/*'", "inspect IMAGE --waste", "inspect IMAGE --binaries",
    "inspect IMAGE --verify", "inspect IMAGE --rule no-setuid", "inspect IMAGE --platform no/no",
    "inspect IMAGE --path NAME", "inspect IMAGE --binary /d/NAME", "inspect IMAGE:NAME",
    "diff IMAGE OTHER", "diff IMAGE OTHER -v", "diff IMAGE --platform linux/amd64,linux/arm64",
    "extract IMAGE /nothing/NAME -o out", "extract IMAGE / -o out", "extract IMAGE /e -o file",
    "pull IMAGE docker-archive:out.tar",
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("format", ["text", "json"])
def test_an_image_adds_no_line_and_no_hidden_character(
    command: str, format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "file").write_text("in the way of a directory")
    other = write_image(tmp_path / "other", "other")
    counts = []
    for number, text in enumerate((ONE_LINE, HOSTILE)):
        folder = tmp_path / str(number)
        folder.mkdir()
        words = {"IMAGE": write_image(folder, text), "OTHER": other, "out": f"out{number}"}
        arguments = [_replaced(word, {**words, "NAME": text}) for word in shlex.split(command)]
        run([*arguments, *(["--format", "json"] if format == "json" else [])])
        output, errors = capfd.readouterr()
        for stream in (output, errors):
            assert all(line.isprintable() for line in stream.split("\n"))
            lines = stream.split("\n")
            assert not any(line.lstrip().startswith(("::", "##[")) for line in lines)
        counts.append((output.count("\n"), errors.count("\n")))
    assert counts[0] == counts[1]


def _replaced(word: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        word = word.replace(name, value)
    return word


@contextlib.contextmanager
def registry_of_tags(*tags: str) -> Iterator[str]:
    with small_registry() as registry:
        registry.tags.update({("a/b", tag): "sha256:" + "0" * 64 for tag in tags})
        yield f"{registry.host}/a/b"


@pytest.mark.parametrize("tag", [HOSTILE, "a b", "::error::x", "x" * 129])
def test_a_tag_that_is_none_is_an_error_and_not_shown_as_one(
    tag: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with registry_of_tags("1", tag) as repository:
        assert run(["tags", repository]) == 1
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith(f"error: {repository}: the registry lists an invalid tag: ")
    assert errors.rstrip("\n").isprintable()
