"""eStargz: a gzip layer whose files can be read one by one through its table of contents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from builders.tree import directory, file, hardlink, symlink, tree
from homeport.content.store import Store
from homeport.progress import CancelToken
from homeport.tree.compression import make_encoder
from homeport.tree.estargz import TOC_DIGEST, UNCOMPRESSED_SIZE, NameTaken, write_estargz
from homeport.tree.layer_writer import WrittenLayer

BIG = bytes(range(256)) * (5 << 12)  # 5 MiB: two chunks
FILES = {
    "etc": directory(),
    "etc/conf": file(b"small"),
    "etc/empty": file(b""),
    "usr/lib": directory(),
    "usr/lib/big": file(BIG, mode=0o755),
    "usr/lib/link": symlink(b"big"),
    "usr/lib/same": hardlink(b"usr/lib/big"),
}
FOOTER = 51


def write(root: Path, files: dict[str, Any] = FILES) -> WrittenLayer:
    return write_estargz(tree(files), make_encoder("estargz"), Store(root), CancelToken())


def table(layer: WrittenLayer) -> tuple[bytes, list[dict[str, Any]]]:
    """The table's text and rows, found as a lazy puller does: from the footer."""
    data = layer.blob.path.read_bytes()
    footer = data[-FOOTER:]
    assert gzip.decompress(footer) == b""
    assert (footer[12:16], footer[32:38]) == (b"SG\x16\x00", b"STARGZ")
    toc = zlib.decompressobj(31).decompress(data[int(footer[16:32], 16) :])
    with tarfile.open(fileobj=io.BytesIO(toc)) as archive:
        member = archive.next()
        assert member is not None
        assert member.name == "stargz.index.json"
        stream = archive.extractfile(member)
        assert stream is not None
        text = stream.read()
    return text, json.loads(text)["entries"]


def content_of(layer: WrittenLayer, rows: list[dict[str, Any]], name: str) -> bytes:
    """A file's content, from nothing but the members that its rows name."""
    data = layer.blob.path.read_bytes()
    size = next(row["size"] for row in rows if row["name"] == name)
    found = b""
    for row in rows:
        if row["name"] == name:
            plain = zlib.decompressobj(31).decompress(data[row["offset"] :])
            chunk = plain[: row.get("chunkSize", size)]
            assert f"sha256:{hashlib.sha256(chunk).hexdigest()}" == row["chunkDigest"]
            assert row.get("chunkOffset", 0) == len(found)
            found += chunk
    return found


def test_each_file_can_be_read_by_itself(tmp_path: Path) -> None:
    layer = write(tmp_path)
    text, rows = table(layer)
    assert content_of(layer, rows, "etc/conf") == b"small"
    assert content_of(layer, rows, "usr/lib/big") == BIG
    assert layer.annotations == {
        TOC_DIGEST: f"sha256:{hashlib.sha256(text).hexdigest()}",
        UNCOMPRESSED_SIZE: str(layer.raw_size),
    }


def test_the_table_says_what_tar_says(tmp_path: Path) -> None:
    _, rows = table(write(tmp_path))
    assert [(row["name"], row["type"]) for row in rows] == [
        (".no.prefetch.landmark", "reg"),
        ("etc/", "dir"), ("etc/conf", "reg"), ("etc/empty", "reg"),
        ("usr/lib/", "dir"), ("usr/lib/big", "reg"), ("usr/lib/big", "chunk"),
        ("usr/lib/link", "symlink"), ("usr/lib/same", "hardlink"),
    ]  # fmt: skip
    big = rows[5]
    assert (big["size"], big["mode"], big["digest"]) == (
        len(BIG), 0o755, f"sha256:{hashlib.sha256(BIG).hexdigest()}",
    )  # fmt: skip
    assert [row["linkName"] for row in rows[7:]] == ["big", "usr/lib/big"]


def test_other_readers_see_a_plain_gzip_layer(tmp_path: Path) -> None:
    layer = write(tmp_path)
    data = layer.blob.path.read_bytes()
    plain = gzip.decompress(data)
    assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == str(layer.diff_id)
    assert (len(plain), layer.compression) == (layer.raw_size, "gzip")
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        names = archive.getnames()
        big = archive.extractfile("usr/lib/big")
        assert big is not None
        assert big.read() == BIG
    assert names == [".no.prefetch.landmark", *FILES, "stargz.index.json"]


def test_the_digest_of_a_layer_is_fixed(tmp_path: Path) -> None:
    assert str(write(tmp_path).digest) == (
        "sha256:129d14c642cf2cd1aaef4aebdd35951a150cc32304b9a2ea7e82a83216ced68a"
    )


def test_a_file_where_the_format_has_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NameTaken, match=r"/stargz\.index\.json is a name"):
        write(tmp_path, {"stargz.index.json": file(b"")})
