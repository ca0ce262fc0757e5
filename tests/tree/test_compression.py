"""Encoders: exact about which one they are, and gzip the same bytes everywhere."""

from __future__ import annotations

import gzip
import hashlib
import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import IntegrityError, UsageError
from homeport.tree import compression
from homeport.tree.compression import WrongEncoder, choose_library, make_encoder
from homeport.tree.libdeflate import DamagedMember, Libdeflate, libraries

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
def _unchosen():
    choose_library.cache_clear()
    yield
    choose_library.cache_clear()


class Off:
    """A library that compresses at another level than it is asked for."""

    name = "libdeflate of somebody else"

    def __init__(self, genuine: Libdeflate) -> None:
        self.crc32, self.decompress = genuine.crc32, genuine.decompress
        self.compress = lambda data, level: genuine.compress(data, level - 1)


@pytest.mark.usefixtures("_unchosen")
def test_a_library_with_other_output_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = libraries()
    monkeypatch.setattr(compression, "libraries", lambda: [Off(genuine[0]), *genuine])
    assert choose_library(7) is genuine[0]


@pytest.mark.usefixtures("_unchosen")
def test_without_a_right_library_the_error_names_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = Off(libraries()[0])
    monkeypatch.setattr(compression, "libraries", lambda: [wrong])
    with pytest.raises(WrongEncoder, match="somebody else: writes other bytes at level 7"):
        make_encoder("gzip").encode(b"x")


@pytest.mark.usefixtures("_unchosen")
def test_without_any_library_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "libraries", list)
    with pytest.raises(WrongEncoder, match="is not installed") as caught:
        make_encoder("gzip").encode(b"x")
    assert "apt install libdeflate0" in (caught.value.hint or "")


@pytest.mark.usefixtures("_unchosen")
@pytest.mark.parametrize("level", [6, 7, 9, 12])
@pytest.mark.parametrize("library", libraries(), ids=lambda library: library.name)
def test_every_library_here_writes_the_same_bytes_or_is_refused(
    library: Libdeflate, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian bookworm's libdeflate 1.14 differs at level 12; 1.23 and newer do not."""
    monkeypatch.setattr(compression, "libraries", lambda: [library])
    encoder = make_encoder("gzip", level)
    try:
        choose_library(level)
    except WrongEncoder:
        assert level == 12
        return
    for data in inputs().values():
        member = encoder.encode(data)
        assert gzip.decompress(member) == data
        assert library.decompress(member, len(data)) == data
    for wrong in (len(data) - 1, len(data) + 1):
        with pytest.raises(DamagedMember):
            library.decompress(member, wrong)


def test_the_pin_in_the_project_file_is_the_version_whose_bytes_we_stand_for() -> None:
    from importlib.metadata import requires

    pins = [text.split(";")[0].strip() for text in requires("homeport") or []]
    assert f"deflate=={compression.DEFLATE_VERSION}" in pins
