"""Encoders: exact about which one they are, and gzip the same bytes everywhere."""

from __future__ import annotations

import gzip
import hashlib
import io

import deflate
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import IntegrityError, UsageError
from homeport.tree import compression
from homeport.tree.compression import WrongEncoder, check_deflate, make_encoder

ALL = ["gzip", "zstd", "none"]


def decompressed(name: str, data: bytes) -> bytes:
    if name == "gzip":
        return gzip.decompress(data)
    if name == "zstd":
        stream = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(data), read_across_frames=True
        )
        return stream.read()
    return data


def inputs() -> dict[str, bytes]:
    """Kinds of data that take different ways through a compressor."""
    noise = b"".join(hashlib.sha256(b"noise %d" % n).digest() for n in range(1 << 15))
    return {
        "nothing": b"",
        "one byte": b"x",
        "zeros": bytes(3 << 20),
        "noise": noise,
        "text": b"".join(b"%d: usr/share/doc/%d\n" % (n, n % 97) for n in range(100_000)),
        "mixed": b"".join(noise[n : n + 40] * (n % 5) + bytes(n % 50) for n in range(0, 50_000, 7)),
    }


@pytest.mark.parametrize(
    ("level", "digests"),
    [
        (6, "2d9a646706f8daf663b6df51ca9e8302dc26c007f0eb5c813cadcf969a4324c7"),
        (7, "dd9822d7e3b68d437e73b0eb48e1a55fce180129d10624eda655b571e98e681f"),
        (9, "6379796cfd3470c8a74203fe1c4d5b0416a38c505e0fafbb0163c763fa4a72e7"),
        (12, "98378bc5ae26e4dd890643f4098137d0aa0301b515c7df890f9cbb76a0fdacb0"),
    ],
)
def test_the_encoder_writes_exactly_these_bytes_on_every_machine(level: int, digests: str) -> None:
    """If this fails on some machine, its layers have other digests: do not change the test."""
    encoder = make_encoder("gzip", level)
    hasher = hashlib.sha256()
    for data in inputs().values():
        hasher.update(encoder.encode(data))
    assert hasher.hexdigest() == digests


def test_a_gzip_member_says_nothing_about_machine_or_moment() -> None:
    assert make_encoder("gzip").encode(b"x")[:10].hex() == "1f8b08000000000000ff"


@pytest.mark.parametrize("name", ALL)
@given(parts=st.lists(st.binary(max_size=300), max_size=5))
def test_members_joined_are_the_stream_joined(name: str, parts: list[bytes]) -> None:
    encoder = make_encoder(name)
    members = [encoder.encode(part) for part in parts]
    assert decompressed(name, b"".join(members)) == b"".join(parts)
    assert [encoder.decode(m, len(p)) for m, p in zip(members, parts, strict=True)] == parts


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_damaged_member_is_an_integrity_error(name: str) -> None:
    encoder = make_encoder(name)
    member = bytearray(encoder.encode(b"some text " * 100))
    member[len(member) // 2] ^= 0xFF
    with pytest.raises(IntegrityError, match="damaged"):
        encoder.decode(bytes(member), 1000)


@pytest.mark.parametrize(
    ("name", "level", "identity", "stable"),
    [
        ("gzip", None, "gzip deflate-0.9.0 level 7", True),
        ("gzip", 12, "gzip deflate-0.9.0 level 12", True),
        ("none", None, "none", True),
    ],
)
def test_an_encoder_names_its_exact_version_and_level(
    name: str, level: int | None, identity: str, stable: bool
) -> None:
    encoder = make_encoder(name, level)
    assert (encoder.id, encoder.byte_stable) == (identity, stable)


def test_zstd_is_offered_as_not_byte_stable_and_names_the_library() -> None:
    encoder = make_encoder("zstd")
    assert not encoder.byte_stable
    assert ".".join(map(str, zstandard.ZSTD_VERSION)) in encoder.id


@pytest.mark.parametrize(("name", "level"), [("xz", None), ("gzip", 8), ("gzip", 0)])
def test_what_is_not_offered_is_a_usage_error(name: str, level: int | None) -> None:
    with pytest.raises(UsageError):
        make_encoder(name, level)


@pytest.fixture
def _unchecked():
    check_deflate.cache_clear()
    yield
    check_deflate.cache_clear()


@pytest.mark.usefixtures("_unchecked")
def test_another_version_of_the_encoder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "__version__", "0.9.1")
    with pytest.raises(WrongEncoder, match=r"0\.9\.1 is installed") as caught:
        make_encoder("gzip").encode(b"x")
    assert caught.value.hint is not None


@pytest.mark.usefixtures("_unchecked")
def test_the_right_version_with_other_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = deflate.deflate_compress
    monkeypatch.setattr(deflate, "deflate_compress", lambda data, level: genuine(data, level - 1))
    with pytest.raises(WrongEncoder, match="other bytes"):
        make_encoder("gzip").encode(b"x")


def test_the_pin_in_the_project_file_is_the_checked_version() -> None:
    from importlib.metadata import requires

    assert f"deflate=={compression.DEFLATE_VERSION}" in (requires("homeport") or [])
