"""Which streams are plain files, so that their bytes need not be read to be sent."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import cast

from homeport.content.digest import Digest
from homeport.content.reading import Slice, VerifiedReader, file_place


def test_a_file_and_a_part_of_one_are_plain(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as stream:
        stream.seek(4)
        assert file_place(stream) == (stream.fileno(), 4)
        part = Slice(stream.fileno(), 3, 5)
        part.read(2)
        assert file_place(part) == (stream.fileno(), 5)


def test_whatever_changes_or_checks_the_bytes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"content"))
    with path.open("rb") as stream:
        unpacked = gzip.GzipFile(fileobj=stream)
        assert file_place(unpacked) is None
        assert file_place(VerifiedReader(stream, Digest.of(b""), 0, "x")) is None
        assert file_place(io.BufferedReader(cast("io.RawIOBase", unpacked))) is None
    assert file_place(io.BytesIO(b"x")) is None


def test_what_is_no_regular_file_is_not() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with open(os.devnull, "rb") as device:
        assert file_place(device) is None
    part = Slice(reading, 0, 1)
    assert file_place(part) is None
    os.close(reading)
