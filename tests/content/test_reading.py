"""Readers bound and verify what comes from outside, whatever sizes it is read in."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.content.blob import BytesBlob, seekable, verified
from homeport.content.digest import Digest
from homeport.content.reading import Slice, VerifiedReader, read_bounded
from homeport.errors import IntegrityError, TooLarge, UsageError


def reader(data: bytes, claimed: bytes, size: int | None = None) -> VerifiedReader:
    return VerifiedReader(
        io.BytesIO(data), Digest.of(claimed), len(claimed) if size is None else size
    )


@given(data=st.binary(max_size=200), step=st.integers(1, 64))
def test_right_content_passes_in_pieces_of_any_size(data: bytes, step: int) -> None:
    stream = reader(data, data)
    assert b"".join(iter(lambda: stream.read(step), b"")) == data


@given(data=st.binary(min_size=1, max_size=200), at=st.integers(0, 199), step=st.integers(1, 64))
def test_one_changed_byte_is_noticed_before_the_end_is_handed_out(
    data: bytes, at: int, step: int
) -> None:
    at %= len(data)
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    stream = reader(changed, data)
    with pytest.raises(IntegrityError, match="expected sha256:"):
        while stream.read(step):
            pass


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"shor", "is truncated: 4 B of 5 B"), (b"longer", "larger than the expected 5")],
)
def test_too_short_and_too_long_are_named(data: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        reader(data, b"short").readall()


def test_a_blob_can_be_read_again_from_any_offset() -> None:
    blob = BytesBlob(b"0123456789")
    assert blob.open(4).read() == b"456789"
    assert verified(blob).readall() == b"0123456789"
    assert verified(blob).readall() == b"0123456789"


@given(
    data=st.binary(max_size=300),
    moves=st.lists(st.tuples(st.integers(0, 320), st.integers(0, 50)), max_size=10),
)
def test_a_seekable_reader_reads_any_place_of_a_blob(
    data: bytes, moves: list[tuple[int, int]]
) -> None:
    with seekable(BytesBlob(data)) as stream:
        for place, length in moves:
            assert stream.seek(place) == place
            assert stream.read(length) == data[place : place + length]
        assert stream.seek(-len(data), io.SEEK_END) == 0
        assert stream.read() == data


@given(data=st.binary(max_size=50), back=st.integers(1, 60), whence=st.sampled_from([0, 1, 2]))
def test_no_reader_seeks_to_before_its_start(data: bytes, back: int, whence: int) -> None:
    """As in a file: the position stays, and ``zipfile`` relies on the error."""
    start = {io.SEEK_SET: 0, io.SEEK_CUR: len(data) // 2, io.SEEK_END: len(data)}[whence]
    with seekable(BytesBlob(data)) as stream:
        stream.seek(len(data) // 2)
        if start < back:
            with pytest.raises(OSError, match="Invalid argument"):
                stream.seek(-back, whence)
            assert stream.tell() == len(data) // 2
        elif whence != io.SEEK_SET:
            assert stream.seek(-back, whence) == start - back
            assert stream.read() == data[start - back :]


def test_readers_that_go_forward_do_not_seek(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        for stream in (Slice(file.fileno(), 2, 5), reader(b"abc", b"abc")):
            assert not stream.seekable()
            for place, whence in ((-1, io.SEEK_CUR), (-1, io.SEEK_SET), (0, io.SEEK_SET)):
                with pytest.raises(io.UnsupportedOperation):
                    stream.seek(place, whence)
        part = Slice(file.fileno(), 2, 5)
        assert (part.read(-5), part.read(-1), part.read(0)) == (b"23456", b"", b"")


def test_a_bounded_read_takes_the_bound_and_no_byte_more() -> None:
    assert read_bounded(io.BytesIO(b"12345"), 5, "the answer") == b"12345"
    with pytest.raises(TooLarge, match="the answer is larger than 4 B"):
        read_bounded(io.BytesIO(b"12345"), 4, "the answer")


@pytest.mark.parametrize(
    "text", ["", "sha256", "sha256:", "sha256:" + "g" * 64, "md5:" + "0" * 32, "sha256:" + "A" * 64]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid digest"):
        Digest.parse(text)


def test_tiny_pieces_cost_what_they_hold() -> None:
    class Dripping:
        left = 300_000

        def read(self, _size: int = -1, /) -> bytes:
            self.left -= 2
            return self.left.to_bytes(4, "big")[2:] if self.left >= 0 else b""

    tracemalloc.start()
    try:
        assert len(read_bounded(Dripping(), 1 << 20, "it")) == 300_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
