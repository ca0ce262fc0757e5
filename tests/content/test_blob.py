"""Blobs as values: what makes two of them the same."""

from __future__ import annotations

from pathlib import Path

from homeport.content.blob import BytesBlob, FileBlob
from homeport.content.digest import Digest

_DIGEST = Digest.of(b"content")


def test_bytes_in_memory_are_the_same_blob_by_their_digest() -> None:
    blob = BytesBlob(b"content")
    assert (blob.digest, blob.size) == (_DIGEST, 7)
    assert len({blob, BytesBlob(b"content")}) == 1
    assert blob not in (BytesBlob(b"other"), BytesBlob(b"content", "sha512"))


def test_a_large_content_is_not_printed_whole() -> None:
    assert len(repr(BytesBlob(b"x" * 10_000))) < 300


def test_a_file_is_the_same_blob_whether_or_not_it_was_verified_now() -> None:
    path = Path("blobs/x")
    blob, again = FileBlob(path, _DIGEST, 7), FileBlob(path, _DIGEST, 7, verified_now=True)
    assert len({blob, again}) == 1
    assert blob not in (FileBlob(path, _DIGEST, 8), FileBlob(Path("y"), _DIGEST, 7))
    assert (blob.verified_file(), again.verified_file()) == (None, path)
