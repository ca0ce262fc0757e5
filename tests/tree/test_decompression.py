"""Streams of others, whatever compressed them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.errors import IntegrityError
from homeport.tree import decompression
from homeport.tree.decompression import MAGIC_LENGTH, codec_of, decompressed

#: With checksums: without, no reader can tell that a frame of zstd was changed.
CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}
SAMPLE = random.Random(1).randbytes(200_000) + bytes(300_000)
SKIPPABLE = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"


class Dripping(io.BytesIO):
    """Gives a few bytes at a time, as a network does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 3) if size and size > 0 else size)


def unfolded(data: bytes, step: int = -1) -> bytes:
    reader = decompressed(io.BytesIO(data), "the layer")
    return b"".join(iter(lambda: reader.read(step), b""))


@pytest.mark.parametrize("codec", CODECS)
def test_the_first_bytes_tell_the_codec(codec: str) -> None:
    assert codec_of(CODECS[codec](b"x")[:MAGIC_LENGTH]) == codec


@pytest.mark.parametrize("start", [b"", b"\x1f", b"BZ", b"./usr/", b"\xfd7zXZ"])
def test_what_begins_like_no_codec_is_read_as_it_is(start: bytes) -> None:
    assert codec_of(start) == "none"
    assert unfolded(start) == start


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("step", [-1, 1 << 10, 1 << 18])
def test_a_stream_unfolds_to_what_was_compressed(codec: str, step: int) -> None:
    assert unfolded(CODECS[codec](SAMPLE), step) == SAMPLE


@given(st.binary(max_size=300), st.sampled_from(sorted(CODECS)), st.integers(1, 4))
@settings(max_examples=60)
def test_members_follow_one_another_however_the_bytes_arrive(
    data: bytes, codec: str, count: int
) -> None:
    stream = Dripping(CODECS[codec](data) * count)
    assert decompressed(stream, "x").read() == data * count


def test_a_thousand_members_are_read_without_recursion() -> None:
    pieces = [SAMPLE[n : n + 400] for n in range(0, len(SAMPLE), 400)]
    assert len(pieces) > 1000
    assert unfolded(b"".join(map(gzip.compress, pieces))) == SAMPLE


@pytest.mark.parametrize("codec", ["gzip", "xz", "bzip2"])
@pytest.mark.parametrize("padding", [4, 512, 1 << 17])
def test_zeros_between_and_after_members_are_padding(codec: str, padding: int) -> None:
    member = CODECS[codec](b"one") + bytes(padding)
    assert unfolded(member * 2) == b"oneone"


@pytest.mark.parametrize("codec", CODECS)
def test_garbage_after_the_last_member_is_damage(codec: str) -> None:
    with pytest.raises(IntegrityError, match="the layer is damaged: "):
        unfolded(CODECS[codec](b"one") + b"garbage that is no member at all")


def test_zstd_may_begin_with_a_frame_that_holds_no_data() -> None:
    """As what pzstd writes does."""
    skipped = b"\x5a\x2a\x4d\x18\x04\0\0\0none"
    assert codec_of(skipped[:MAGIC_LENGTH]) == "zstd"
    source = io.BytesIO(skipped + CODECS["zstd"](b"one"))
    assert decompressed(source, "x").read() == b"one"


def test_frames_of_zstd_that_hold_no_data_are_skipped() -> None:
    """Podman's zstd:chunked layers end with such frames."""
    one = CODECS["zstd"](b"one")
    assert unfolded(one + SKIPPABLE + one + SKIPPABLE) == b"oneone"


@pytest.mark.parametrize("codec", CODECS)
def test_data_cut_anywhere_are_damaged_and_never_shorter(codec: str) -> None:
    whole = CODECS[codec](SAMPLE[199_000:201_000])
    for length in range(MAGIC_LENGTH, len(whole)):
        with pytest.raises(IntegrityError, match=r"the layer is damaged: .*truncated"):
            unfolded(whole[:length])


@pytest.mark.parametrize("codec", CODECS)
def test_data_changed_in_the_middle_are_damaged(codec: str) -> None:
    data = bytearray(CODECS[codec](SAMPLE))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(IntegrityError, match="the layer is damaged: "):
        unfolded(bytes(data))


def test_a_stream_that_cannot_be_read_is_an_integrity_error_too() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= MAGIC_LENGTH:
                raise OSError("the cable is out")
            return super().read(size)

    for data in (SAMPLE, *(compress(SAMPLE) for compress in CODECS.values())):
        with pytest.raises(IntegrityError, match="the cable is out"):
            decompressed(Broken(data), "the layer").read()


def test_memory_that_xz_may_ask_for_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = lzma.compress(b"x", preset=9)
    assert unfolded(data) == b"x"
    monkeypatch.setattr(decompression, "_XZ_MEMORY", 1 << 20)
    with pytest.raises(IntegrityError, match=r"[Mm]emory"):
        unfolded(data)


def test_the_window_that_zstd_may_ask_for_is_bounded() -> None:
    def frame(window_log: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters(window_log=window_log)
        encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return encoder.compress(b"x") + encoder.flush()

    assert unfolded(frame(27)) == b"x"
    with pytest.raises(IntegrityError, match="memory"):
        unfolded(frame(28))


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_comes_out_in_pieces_no_larger_than_asked_for(codec: str) -> None:
    reader = decompressed(io.BytesIO(CODECS[codec](bytes(20 << 20))), "x")
    sizes = [len(piece) for piece in iter(lambda: reader.read(1 << 16), b"")]
    assert sum(sizes) == 20 << 20
    assert max(sizes) <= 1 << 16


def test_asking_for_nothing_gets_nothing_and_loses_nothing() -> None:
    for compress in CODECS.values():
        reader = decompressed(io.BytesIO(compress(b"one")), "x")
        assert (reader.read(0), reader.read()) == (b"", b"one")


def test_closing_closes_the_stream() -> None:
    for data in (b"plain", gzip.compress(b"x")):
        stream = io.BytesIO(data)
        decompressed(stream, "x").close()
        assert stream.closed
