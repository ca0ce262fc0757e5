"""Packages indexes: stanzas, relations and versions, compressed or not."""

from __future__ import annotations

import gzip
import lzma
from functools import partial

from builders.deb import control_text
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.debian.deb822 import parse_paragraphs
from homeport.debian.index.stanzas import index_text
from homeport.debian.index.table import IndexTable, frame_texts, whole_stanzas
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import parse_package
from homeport.errors import HomeportError
from homeport.progress import CancelToken

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


def fuzz_one(data: bytes) -> None:
    """As an index in each form, and each of its stanzas as a package."""
    for suffix in ("", ".gz", ".xz"):
        try:
            _index(data, f"Packages{suffix}")
        except EXPECTED:
            continue
    for read in (partial(_every, data), *(partial(_package, one) for one in data.split(b"\n\n"))):
        try:
            read()
        except EXPECTED:
            continue


def _index(data: bytes, path: str) -> None:
    form = ListedFile(path=path, digest=Digest.of(data), size=len(data))
    table = IndexTable()
    for stanzas in whole_stanzas(index_text(BytesBlob(data), form, None, CancelToken())):
        for text in frame_texts(stanzas):
            table.add(bytes(text), 0, len(text))
    table.finished()


def _every(data: bytes) -> None:
    for _ in parse_paragraphs(data, comments=True):
        pass


def _package(stanza: bytes) -> None:
    package = parse_package(stanza, "debian", "trixie")
    assert package.version <= package.version


def seeds() -> list[bytes]:
    """Two packages, plain and compressed."""
    tail = f"Filename: pool/a.deb\nSize: 1\nSHA256: {'0f' * 32}\n"
    text = (
        control_text("a", "1", "all", depends="b (>= 1:2.0~rc1-3) | c:any, d [amd64 !i386]") + tail
    )
    text += "\n" + control_text("b", "1:2~rc1-3", "amd64", provides="v (= 1), w") + tail
    plain = text.encode()
    return [plain, gzip.compress(plain, mtime=0), lzma.compress(plain, preset=1)]
