"""Layers made to break readers: each by name, and what becomes of it.

``ANSWERS``: the final tree is exactly this, whatever the layer tries. ``REFUSED``: one clear
error. Nothing hangs, nothing leaves the root, memory and output are bounded.
"""

# ruff: noqa: E501  a case is one line
from __future__ import annotations

import gzip
import tarfile
import tracemalloc
import zlib
from dataclasses import dataclass

import pytest
import zstandard

from builders.images import Layer
from builders.inspection import (
    Member,
    directory,
    file,
    hardlink,
    history,
    layer,
    made,
    member,
    opaque,
    opened,
    symlink,
    tar,
    whiteout,
)  # fmt: skip
from builders.runtime import runtime
from homeport import budget as budget_module
from homeport.budget import LimitExceeded, Limits
from homeport.cli.inspect_text import files_text, report_text
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.images.image import Image
from homeport.inspection.image.file_listing import final_rows
from homeport.inspection.image.opened_image import open_layers
from homeport.inspection.report.inspect_image import inspect
from homeport.layers.listing import Hashed, list_layer
from homeport.layers.overlay import stack
from homeport.oci import media_types
from homeport.printable import printable as safe
from homeport.progress import CancelToken


def plain(*members: Member) -> Layer:
    return layer(*members, codec="none")


def raw(data: bytes) -> Layer:
    return Layer(data, data, media_types.OCI_LAYER)


def patched(one: Layer, at: int, data: bytes) -> Layer:
    """A header changed, its checksum made right again."""
    block = bytearray(one.plain)
    block[at : at + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return raw(bytes(block))


ANSWERS: dict[str, tuple[list[Layer], set[str]]] = {
    "a name that climbs out of the root stays in it": ([plain(file("../../etc/x"))], {"etc", "etc/x"}),
    "an absolute name is one below the root": ([plain(file("/abs"))], {"abs"}),
    "a name with dots in the middle is cleaned": ([plain(file("a/./b/../c"))], {"a", "a/c"}),
    "a name of dots alone is the root": ([plain(directory("./"), file("x"))], {"", "x"}),
    "slashes repeat": ([plain(file("a//b///c"))], {"a", "a/b", "a/b/c"}),
    "a whiteout of the parent does nothing": ([plain(file("a")), plain(file(".wh...", b""))], {"a"}),
    "a whiteout that climbs out removes what the name means inside":
        ([plain(file("x"), file("y")), plain(file("../../.wh.x", b""))], {"y"}),
    "a whiteout without a name does nothing": ([plain(file("a")), plain(file(".wh.", b""))], {"a"}),
    "a whiteout of nothing does nothing": ([plain(file("a")), plain(whiteout("b"))], {"a"}),
    "a whiteout in a directory that is not there": ([plain(file("a")), plain(whiteout("no/b"))], {"a"}),
    "a whiteout below a file does nothing": ([plain(file("a")), plain(whiteout("a/b"))], {"a"}),
    "an opaque root empties the image": ([plain(file("a")), plain(file(".wh..wh..opq", b""), file("b"))], {"b"}),
    "an opaque marker in what is no directory": ([plain(file("a")), plain(opaque("a"))], {"a"}),
    "an opaque marker after the content it must not hide":
        ([plain(file("d/old")), plain(file("d/new"), opaque("d"))], {"d", "d/new"}),
    "a whiteout and the same name in one layer": ([plain(file("a")), plain(whiteout("a"), file("a"))], {"a"}),
    "two whiteouts of one name": ([plain(file("a"), file("b")), plain(whiteout("a"), whiteout("a"))], {"b"}),
    "aufs markers mean nothing": ([plain(file("a"), file(".wh..wh.plnk", b""), file(".wh..wh.aufs", b""))], {"a"}),
    "a whiteout that is a directory": ([plain(file("a")), plain(directory(".wh.a"))], set()),
    "a whiteout through a link": ([plain(file("d/a"), symlink("l", "d")), plain(whiteout("l/a"))], {"d", "l"}),
    "a link to itself in the way": ([plain(symlink("l", "l"), file("l/x"))], {"l"}),
    "two links in a circle in the way": ([plain(symlink("a", "b"), symlink("b", "a"), file("a/x"))], {"a", "b"}),
    "a link that climbs out stays inside": ([plain(symlink("l", "../../../t")), plain(file("l/x"))], {"l", "t", "t/x"}),
    "an absolute link is one from the root": ([plain(symlink("l", "/t")), plain(file("l/x"))], {"l", "t", "t/x"}),
    "a link replaced by a file across layers": ([plain(symlink("l", "t"), file("t")), plain(file("l", b"new"))], {"l", "t"}),
    "a link replaced by a directory": ([plain(symlink("l", "t"), directory("t")), plain(directory("l"), file("l/x"))], {"l", "l/x", "t"}),
    "a file replaced by a link, then written through": ([plain(file("f"), directory("t")), plain(symlink("f", "t"), file("f/x"))], {"f", "t", "t/x"}),
    "a directory replaced by a link": ([plain(file("d/x"), directory("t")), plain(symlink("d", "t")), plain(file("d/y"))], {"d", "t", "t/y"}),
    "something lies in a file": ([plain(file("f"), file("f/x"))], {"f"}),
    "something lies in a device": ([plain(member("d", tarfile.CHRTYPE), file("d/x"))], {"d"}),
    "a hard link to nothing": ([plain(hardlink("a", "no"))], set()),
    "a hard link to itself": ([plain(hardlink("a", "a"))], set()),
    "a hard link to a directory": ([plain(directory("d"), hardlink("a", "d"))], {"d"}),
    "hard links in a circle": ([plain(hardlink("a", "b"), hardlink("b", "a"))], set()),
    "a hard link out of the root": ([plain(file("x"), hardlink("a", "../../x"))], {"a", "x"}),
    "a hard link before its file": ([plain(hardlink("a", "b"), file("b"))], {"b"}),
    "a name twice": ([plain(file("a", b"1"), file("a", b"2"))], {"a"}),
    "a name as file and as directory": ([plain(file("a"), directory("a"), file("a/x"))], {"a", "a/x"}),
    "a directory with a size": ([patched(plain(directory("d")), 124, b"00000000000\0")], {"d"}),
    "a device that claims to be a whiteout of overlayfs": ([plain(file("a")), plain(member("a", tarfile.CHRTYPE))], {"a"}),
    "a fifo": ([plain(member("p", tarfile.FIFOTYPE))], {"p"}),
    "an empty layer of nothing but zeros": ([raw(bytes(1024))], set()),
    "an archive without an end": ([raw(tar(file("a"))[:1024])], {"a"}),
    "no bytes at all": ([raw(b"")], set()),
    "an archive that ends behind its last byte of content": ([raw(tar(file("a"))[:513])], {"a"}),
    "a negative time": ([plain(file("a", mtime=-5))], {"a"}),
    "a time beyond all calendars": ([plain(file("a", mtime=1 << 40))], {"a"}),
    "an owner beyond sixteen bits": ([plain(file("a", uid=4_000_000_000))], {"a"}),
    "two gzip members": ([Layer(gzip.compress(tar(file("a"))[:700]) + gzip.compress(tar(file("a"))[700:]), tar(file("a")))], {"a"}),
    "zeros behind the gzip": ([Layer(gzip.compress(tar(file("a"))) + bytes(100), tar(file("a")))], {"a"}),
    "zstd under gzip's media type": ([Layer(zstandard.ZstdCompressor().compress(tar(file("a"))), tar(file("a")))], {"a"}),
    "a plain tar under gzip's media type": ([Layer(tar(file("a")), tar(file("a")))], {"a"}),
    "bytes behind the end of the archive": ([raw(tar(file("a")) + b"more" * 300)], {"a"}),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_layer_that_is_odd_is_read_as_engines_do(name: str) -> None:
    layers, expected = ANSWERS[name]
    found = opened(*layers)
    assert {path.decode() for path in found.history.final} == expected
    report_text(inspect(made(*layers), "x", runtime()))  # and every view of it can be made
    list(files_text(final_rows(found.history, None)))


@dataclass(frozen=True)
class Refused:
    layer: Layer
    error: type[HomeportError]
    match: str


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = kind, len(records)
    return info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


def sparse(pairs: bytes, *, size: int, stored: int) -> Layer:
    """A sparse file of pax format 0.1 with this map."""

    def record(text: bytes) -> bytes:
        length = len(text) + 2
        length += len(str(length + 1))
        return b"%d %s\n" % (length, text)

    records = record(b"GNU.sparse.map=" + pairs) + record(b"GNU.sparse.size=%d" % size)
    return raw(pax(records) + tar(file("a", b"x" * stored)))


GOOD = tar(file("a", b"x" * 2000))
PACKED = gzip.compress(GOOD, mtime=0)
REFUSED: dict[str, Refused] = {
    "gzip that is cut off": Refused(Layer(PACKED[:-30], GOOD), HomeportError, "truncated"),
    "gzip with a wrong checksum": Refused(
        Layer(PACKED[:-8] + bytes(8), GOOD), HomeportError, "damaged"),
    "gzip with a flipped byte": Refused(
        Layer(PACKED[:15] + b"\xff\xff\xff\xff" + PACKED[19:], GOOD), HomeportError, "damaged"),
    "zstd that is cut off": Refused(
        Layer(zstandard.ZstdCompressor().compress(GOOD)[:-6], GOOD), HomeportError, "."),
    "bytes of no archive": Refused(raw(b"not a tar" * 200), HomeportError, "checksum"),
    "HTML in place of a layer": Refused(raw(b"<html>" * 300), HomeportError, "checksum"),
    "a tar that ends in a header": Refused(raw(GOOD[:300]), HomeportError, "truncated"),
    "a tar that ends in a file": Refused(raw(GOOD[:1200]), HomeportError, "truncated"),
    "a size beyond all files": Refused(
        patched(plain(file("a")), 124, b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        HomeportError, "."),
    "a negative size": Refused(patched(plain(file("a")), 124, b"\xff" * 12), HomeportError, "range"),
    "a size that is no number": Refused(
        patched(plain(file("a")), 124, b"12x45678901\0"), HomeportError, "not a number"),
    "a type that nobody knows": Refused(patched(plain(file("a")), 156, b"Q"), HomeportError, "type"),
    "a pax header longer than allowed": Refused(
        raw(pax(b"1048590 comment=" + b"x" * 1048600)), HomeportError, "allowed"),
    "a pax record that lies about its length": Refused(
        raw(pax(b"99 path=x\n") + GOOD), HomeportError, "length"),
    "a pax path with a zero byte": Refused(
        raw(pax(b"12 path=a\0b\n") + GOOD), HomeportError, "zero byte|length"),
    "a pax header and then the end": Refused(raw(pax(b"10 path=x\n")[:1024]), HomeportError, "ends"),
    "a sparse map that overlaps": Refused(
        sparse(b"0,9,5,9", size=999, stored=18), HomeportError, "not in order"),
    "a sparse map past the file's end": Refused(
        sparse(b"0,9", size=5, stored=9), HomeportError, "passes the file's end"),
    "a sparse map with an entry at the file's end and more": Refused(
        sparse(b"0,4,5,1", size=5, stored=5), HomeportError, "passes the file's end"),
    "a sparse map of fewer bytes than are stored": Refused(
        sparse(b"0,4", size=5, stored=5), HomeportError, "needs 4 bytes, 5 are stored"),
    "a long name without an entry": Refused(
        raw(pax(b"aaaa\0", b"L")), HomeportError, "ends"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_layer_that_cannot_be_read_is_one_clear_error(name: str) -> None:
    case = REFUSED[name]
    with pytest.raises(case.error, match=case.match) as caught:
        opened(case.layer)
    assert caught.value.where.get("layer") == 0
    assert "\n" not in caught.value.what


def test_a_bomb_is_stopped_by_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_module, "_RATIO_MATTERS", 1 << 20)
    info = tarfile.TarInfo("zeros")
    info.size = 64 << 20
    data = zstandard.ZstdCompressor(19).compress(info.tobuf() + bytes(64 << 20))
    assert len(data) * Limits().ratio < 64 << 20
    with pytest.raises(LimitExceeded, match=r"the layer: more than .* of content") as caught:
        list_layer(BytesBlob(data), Hashed(), CancelToken())
    assert caught.value.where == {"limit": "ratio"}


def test_a_layer_larger_than_the_bound_is_stopped() -> None:
    with pytest.raises(TooLarge, match=r"more than 4\.10 kB of content"):
        list_layer(
            BytesBlob(gzip.compress(bytes(1 << 20))), Hashed(), CancelToken(),
            limits=Limits(bytes=4096),
        )  # fmt: skip


def test_more_entries_than_the_bound_are_stopped() -> None:
    one = plain(*(file(f"f{number}") for number in range(20)))
    with pytest.raises(TooLarge, match="more than 10 entries"):
        list_layer(BytesBlob(one.data), Hashed(), CancelToken(), limits=Limits(entries=10))


def test_a_hundred_thousand_empty_files_take_bounded_memory() -> None:
    info = tarfile.TarInfo("d/" + "0" * 8)
    template = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    packer = zlib.compressobj(1, wbits=31)
    parts = []
    for number in range(100_000):
        template[2:10] = b"%08d" % number
        template[148:156] = b" " * 8
        template[148:156] = b"%06o\0 " % sum(template[:512])
        parts.append(packer.compress(bytes(template)))
    data = b"".join([*parts, packer.flush()])
    tracemalloc.start()
    try:
        found = stack([list_layer(BytesBlob(data), Hashed(), CancelToken())])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.final) == 100_001
    assert peak / 100_000 < 1500, "bytes for each file"


def test_a_blob_with_another_digest_is_refused() -> None:
    image = made(layer(file("a")))
    digest = Digest.parse(image.document.parsed.layers[0].digest)
    other = layer(file("b"))

    blob = BytesBlob(other.data)
    object.__setattr__(blob, "digest", digest)
    changed = Image(document=image.document, blobs={**image.blobs, digest: blob},
                    platform=image.platform)  # fmt: skip
    with pytest.raises(IntegrityError):
        open_layers(changed, runtime())


def test_a_layer_that_is_not_the_one_of_the_config_is_refused() -> None:
    lying = layer(file("a"))
    lying.plain += bytes(512)  # the config will name the digest of this
    with pytest.raises(IntegrityError, match="the config lists"):
        opened(lying)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"), ("a\nb", "a\\nb"), ("a\u202eb", "a\\u202eb"),
        ("a\u2066b", "a\\u2066b"), ("\x07", "\\x07"), ("a\x9bb", "a\\x9bb"), ("tab\t", "tab\\t"),
        ("a\u200eb", "a\\u200eb"), ("\x7f", "\\x7f"),
    ],
)  # fmt: skip
def test_no_name_steers_the_terminal_or_hides(name: str, shown: str) -> None:
    assert safe(name) == shown
    lines = list(files_text(final_rows(history(plain(file(name))), None)))
    assert lines[0].endswith("/" + shown)
    assert all(char.isprintable() for char in "".join(lines))


def test_names_that_are_no_utf8_are_shown_by_their_bytes() -> None:
    found = history(plain(file("a\udcff")))
    assert [row.path for row in final_rows(found, None)] == ["/a\\xff"]


def test_pax_and_ustar_disagree_about_the_size_and_pax_counts() -> None:
    body = b"x" * 700
    info = tarfile.TarInfo("a")
    info.size = 5
    data = pax(b"12 size=700\n") + info.tobuf(tarfile.USTAR_FORMAT) + body.ljust(1024, b"\0")
    found = history(raw(data + tar(file("b"))))
    assert {path: place.entry.size for path, place in found.final.items()} == {b"a": 700, b"b": 1}


def test_deep_directories_are_no_recursion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LIMIT_DEPTH", "2000")
    deep = "/".join("d" for _ in range(2000))
    found = history(plain(file(deep)), plain(whiteout("d")))
    assert not found.final
    assert len(found.changes[1]) == 2000


def test_a_name_longer_than_a_path_may_be_is_cut_and_said_so() -> None:
    found = opened(plain(file("/".join(["x" * 200] * 40))))
    assert "1 name outside the root or too long" in found.listings[0].anomalies[0]


def test_many_whiteouts_over_many_files_take_no_time_for_each_pair() -> None:
    base = plain(*(file(f"d{n % 100}/f{n}") for n in range(3000)))
    found = history(base, plain(*(whiteout(f"d{n % 100}/f{n}") for n in range(3000))))
    assert len(found.final) == 100
