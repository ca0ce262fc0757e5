"""Catalogs of strangers, as artifacts: links, names, floods, recipes that take files elsewhere."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from builders.runtime import runtime
from homeport.catalogs.artifact import ARTIFACT_TYPE, CATALOG_LIMIT, LAYER
from homeport.cli.main import run
from homeport.content.blob import BytesBlob
from homeport.images.address import LayoutAddress
from homeport.images.artifact import artifact, artifact_layer
from homeport.images.transports.oci_layout import OciLayout

RECIPE = "homeport: 1\nname: good\nplatforms: [linux/amd64]\npackages: [hello]\n"
GOOD = ("good/homeport.yaml", RECIPE)


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def packed(*items: tuple[str, str] | tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for item in items:
            if isinstance(item, tarfile.TarInfo):
                archive.addfile(item)
                continue
            member = tarfile.TarInfo(item[0])
            member.size = len(item[1].encode())
            archive.addfile(member, io.BytesIO(item[1].encode()))
    return gzip.compress(out.getvalue())


def recipe(line: str) -> bytes:
    return packed(("good/homeport.yaml", RECIPE + line))


def bomb(size: int) -> bytes:
    """A file of zeros that is never in memory as a whole."""
    out = io.BytesIO()
    with gzip.open(out, "wb", compresslevel=1) as stream:
        member = tarfile.TarInfo("good/zeros")
        member.size = size
        stream.write(member.tobuf())
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
        stream.write(bytes(1024))
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    return tmp_path / "layout"


def write(place: Path, layer: bytes) -> str:
    """The name of a catalog with this layer."""
    value = artifact(ARTIFACT_TYPE, [artifact_layer(BytesBlob(layer), LAYER)])
    OciLayout(LayoutAddress(path=place, tag="x")).write(value, runtime())
    return f"oci:{place}:x"


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (packed(GOOD, entry("good/x", tarfile.SYMTYPE, "/etc/passwd")), "holds a symlink"),
        (packed(GOOD, entry("good/x", tarfile.SYMTYPE, "/tmp"), ("good/x/y", "")), "a symlink"),
        (packed(GOOD, entry("good/x", tarfile.LNKTYPE, "/etc/passwd")), "no target"),
        (packed(GOOD, entry("good/x", tarfile.FIFOTYPE)), "holds a fifo"),
        (packed(GOOD, ("../x", "")), "leaves the root"),
        (packed(GOOD, ("slices/../../x.yaml", "")), "leaves the root"),
        (packed(GOOD, ("good/" + "n" * 300, "")), "File name too long"),
        (recipe("extends: " + "../" * 20 + "etc/passwd\n"), "outside"),
        (recipe("files: [{from: /etc/passwd, to: /x}]\n"), "outside"),
        (recipe("files: [{from: " + "../" * 20 + "etc/passwd, to: /x}]\n"), "outside"),
        (recipe("files: " + "[" * 50_000), "nesting depth"),
        (recipe('summary: "a\\e[2J\\n::error::x"\n'), "one line"),
        (packed(("a\x1b[2J\n::error::x/homeport.yaml", RECIPE)), "has no recipe 'good'"),
        (b"no archive", "catalog"),
        (b"", "has no recipes"),
    ],
)  # fmt: skip
def test_such_a_catalog_reads_and_writes_nothing_of_this_machine(
    place: Path, layer: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["recipe", "show", "good", "--catalog", write(place, layer)]) in (1, 2, 3)
    shown = "".join(capsys.readouterr())
    assert said in shown
    assert "root:x:" not in shown
    assert "\x1b" not in shown
    assert "\n::error::" not in shown
    assert {path.name for path in place.parent.iterdir()} <= {"layout", "the-cache"}


def test_a_catalog_that_unpacks_to_more_than_it_may_be_is_stopped(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = write(place, bomb(CATALOG_LIMIT + (1 << 20)))
    assert run(["catalog", "list", "--catalog", name]) == 1
    assert "more than 268.44 MB of content" in capsys.readouterr().err


def test_a_limit_that_the_user_sets_counts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = write(place, packed(GOOD, ("good/big", "x" * 5000)))
    for limit, code in (("4000", 1), ("1000000", 0)):
        monkeypatch.setenv("HOMEPORT_LIMIT_BYTES", limit)
        assert run(["catalog", "list", "--catalog", name]) == code
