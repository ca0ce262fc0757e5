"""Bundles of strangers: names held twice, links, endless headers, names that lead out."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders.growth import peak_memory
from builders.published import IMAGE, ask, members_of, published, run
from builders.small_registry import SmallRegistry, small_registry
from homeport.bundling.model import CONTENTS_NAME

REF_NAME = "org.opencontainers.image.ref.name"
Item = tuple[str, bytes] | tarfile.TarInfo


class Bundle:
    """A signed bundle of one image, to be written with changes."""

    def __init__(self, home: SmallRegistry, inside: SmallRegistry) -> None:
        self.home, self.inside = home, inside
        ask(home, "bundle", IMAGE, "-o", "good.bundle", "--trust-kit", "--key", "a.key")
        self.members = members_of("good.bundle")
        self.blob = next(name for name in self.members if name.startswith("blobs/"))

    def said(self, data: bytes, *options: str) -> str:
        """What ``load`` says of these bytes, as does ``list``; nothing is loaded."""
        Path("changed.bundle").write_bytes(data)
        found = []
        for command in (["load", "changed.bundle", self.inside.host], ["list", "changed.bundle"]):
            result = run(self.home, "bundle", *command, *options)
            assert result.exit_code != 0
            assert getattr(result.exception, "id", ""), repr(result.exception)
            found.append(str(result.exception))
        assert not self.inside.manifests
        assert "\x1b" not in found[0]
        return found[0]

    def archive(self, *more: Item, before: tuple[Item, ...] = (), without: str = "") -> bytes:
        kept = [item for item in self.members.items() if item[0] != without]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for item in (*before, *kept, *more):
                if isinstance(item, tarfile.TarInfo):
                    archive.addfile(item)
                    continue
                member = tarfile.TarInfo(item[0])
                member.size = len(item[1])
                archive.addfile(member, io.BytesIO(item[1]))
        return out.getvalue()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with (
        pytest.MonkeyPatch.context() as patch,
        published(tmp_path_factory.mktemp("bundle"), patch) as home,
        small_registry() as inside,
    ):
        yield Bundle(home, inside)


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return entry(name, tarfile.SYMTYPE, target)


OTHER = ("index.json", b'{"schemaVersion":2,"manifests":[]}')
MEMBERS: dict[str, tuple[Callable[[Bundle], bytes], str]] = {
    "the index twice": (lambda b: b.archive(OTHER), "index.json twice"),
    "the index twice by another spelling": (
        lambda b: b.archive((f"./x/../{OTHER[0]}", OTHER[1])), "index.json twice"),
    "the index, then a link": (lambda b: b.archive(link("index.json", b.blob)), "index.json twice"),
    "a link, then the index": (
        lambda b: b.archive(before=(link("index.json", b.blob),)), "index.json twice"),
    "the index, then a hard link": (
        lambda b: b.archive(entry("index.json", tarfile.LNKTYPE, b.blob)), "index.json twice"),
    "the version, then a link": (
        lambda b: b.archive(link("oci-layout", b.blob)), "oci-layout twice"),
    "the index, then a pipe": (
        lambda b: b.archive(entry("index.json", tarfile.FIFOTYPE)), "index.json twice"),
    "the index, then a directory": (
        lambda b: b.archive(entry("index.json", tarfile.DIRTYPE)), "index.json twice"),
    "a pipe for the index": (
        lambda b: b.archive(entry("index.json", tarfile.FIFOTYPE), without="index.json"),
        "has no index.json"),
    "an index that leads to itself": (
        lambda b: b.archive(link("index.json", "index.json"), without="index.json"), "circle"),
    "a link to a file of the machine": (
        lambda b: b.archive(link(b.blob, "/etc/passwd"), without=b.blob), "outside the archive"),
    "a link upwards": (
        lambda b: b.archive(link(b.blob, "../../../../etc/passwd"), without=b.blob), "outside"),
    "a folder that is a link": (lambda b: b.archive(before=(link("blobs", "/etc"),)), "outside"),
    "a name upwards": (lambda b: b.archive(("../index.json", b"")), "outside the archive"),
    "a name in capitals": (lambda b: b.archive(("INDEX.JSON", b"")), "it holds 'INDEX.JSON'"),
    "a name that steers": (lambda b: b.archive(("a\x1b[2J\nb", b"")), r"it holds 'a\x1b[2J\nb'"),
    "a blob twice": (lambda b: b.archive((b.blob, b"x")), "sha256"),
    "a document without end": (
        lambda b: b.archive(("index.json", b"[" * 100_000), without="index.json"), "index.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMBERS)
def test_a_bundle_with_such_a_member_is_refused(bundle: Bundle, name: str) -> None:
    make, said = MEMBERS[name]
    assert said in bundle.said(make(bundle), "--key", "a.pub")


def header(kind: bytes, size: int, data: bytes = b"") -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + data + b"\0" * (-len(data) % 512)


def record(text: str) -> bytes:
    data = text.encode()
    return header(tarfile.XHDTYPE, len(data), data)


STARTS = {
    "names of 8 GiB": header(tarfile.XHDTYPE, 1 << 33),
    "a name of 32 GiB": header(b"L", 1 << 35),
    "a name of 70 kB": record(f"70000 path={'a' * 69987}\n"),
    "a record of less than nothing": record("-5 path=a\n"),
    "more bytes than any file": record("30 size=99999999999999999999\n"),
    "a sparse file": record("22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
    "an old sparse file": header(b"S", 0),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_bundle_that_begins_with_such_a_header_is_refused(bundle: Bundle, name: str) -> None:
    data = STARTS[name] + bundle.archive()
    assert peak_memory(lambda: bundle.said(data)) < 16 << 20


def test_a_packed_bundle_within_a_packed_one_is_none(bundle: Bundle) -> None:
    bundle.said(gzip.compress(gzip.compress(bundle.archive())))


@pytest.mark.parametrize(
    "name",
    [
        "../../x/y:1", "registry.example/../../x:1", "registry.example/x:1\x1b[2J",
        "-registry.example/x:1", "registry.example/--push:1", "registry.example/x:--push", "x",
        "docker://registry.example/x:1", "registry.example/X:1", "registry.example/x:1?y=1",
        f"registry.example/x@sha256:{'0' * 64}", f"registry.example/{'a/' * 200}b:1",
    ],
)  # fmt: skip
def test_an_image_with_such_a_name_is_not_loaded(bundle: Bundle, name: str) -> None:
    """Also of a bundle without a signed list."""
    index = json.loads(bundle.members["index.json"])
    entries = []
    for line in index["manifests"]:
        names = line.get("annotations", {})
        if names.get(REF_NAME, "").endswith("/tool:1"):
            names[REF_NAME] = name
        if names.get(REF_NAME) != CONTENTS_NAME:
            entries.append(line)
    raw = json.dumps({**index, "manifests": entries}).encode()
    assert "bundle" in bundle.said(bundle.archive(("index.json", raw), without="index.json"))
