"""The streaming tar reader: what it hands out, and what it refuses."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.copying import failure_of
from homeport.copying.errors import CopyError
from homeport.copying.tarstream import Member, TarReader


def archive(*members: tarfile.TarInfo, format: int = tarfile.PAX_FORMAT, **options: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, **options) as tar:  # type: ignore[call-overload]
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size) if member.size else None)
    return out.getvalue()


def entry(name: str, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def members(data: bytes, **bounds: int) -> list[tuple[Member, bytes]]:
    reader = TarReader(io.BytesIO(data), **bounds)  # type: ignore[arg-type]
    found = []
    while (member := reader.next()) is not None:
        found.append((member, b"".join(iter(lambda: reader.read(100), b""))))
    return found


class Dripping:
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_file_keeps_its_fields_in_every_format(format: int) -> None:
    data = archive(
        entry("a/b", size=700, mode=0o6751, uid=7, gid=8, mtime=12, uname="u", gname="g"),
        entry("l", type=tarfile.SYMTYPE, linkname="../x"),
        format=format,
    )
    (file, content), (link, _) = members(data)
    assert (file.name, file.kind, file.mode, file.uid, file.gid) == (b"a/b", "file", 0o6751, 7, 8)
    assert (file.mtime, file.uname, file.gname, file.size) == (12_000_000_000, b"u", b"g", 700)
    assert content == b"x" * 700
    assert (link.kind, link.link) == ("symlink", b"../x")


def test_pax_records_win_over_the_header() -> None:
    headers = {"SCHILY.xattr.user.k": "v", "mtime": "1.000000001", "path": "long" * 60}
    ((file, _),) = members(archive(entry("short", pax_headers=headers)))
    assert (file.name, file.mtime, file.xattrs) == (
        b"long" * 60,
        1_000_000_001,
        {b"user.k": b"v"},
    )


@pytest.mark.parametrize(
    ("text", "mtime"),
    [
        ("0", 0),
        ("9" * 18, (10**18 - 1) * 10**9),
        ("-1.5", -1_500_000_000),
        ("1.1234567899", 1_123_456_789),
        ("7.", 7_000_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, mtime: int) -> None:
    ((file, _),) = members(archive(entry("a", pax_headers={"mtime": text})))
    assert file.mtime == mtime


def test_a_global_header_holds_for_all_that_follow_unless_told_otherwise() -> None:
    data = archive(entry("a"), entry("b", pax_headers={"uid": "9"}), pax_headers={"uid": "7"})  # type: ignore[arg-type]
    assert [m.uid for m, _ in members(data)] == [7, 9]
    reader = TarReader(io.BytesIO(data), global_pax=False)
    first = reader.next()
    assert first is not None
    assert first.uid == 0


def test_a_directory_of_old_is_known_by_its_slash() -> None:
    header = bytearray(archive(entry("d/"), format=tarfile.USTAR_FORMAT)[:512])
    header[156] = 0
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    ((directory, _),) = members(bytes(header))
    assert (directory.kind, directory.name) == ("directory", b"d/")


def test_large_numbers_are_read_in_base_256() -> None:
    large = (1 << 40) + 5
    info = entry("a", uid=3_000_000_000, mtime=large)
    ((file, _),) = members(archive(info, format=tarfile.GNU_FORMAT))
    assert (file.uid, file.mtime) == (3_000_000_000, large * 10**9)


def test_an_archive_may_end_without_its_marker() -> None:
    reader = TarReader(io.BytesIO(archive(entry("a", size=5))[:1024]))
    assert reader.next() is not None
    assert reader.next() is None
    assert not reader.ended


def test_an_archive_that_ends_in_the_middle_names_member_and_position() -> None:
    data = archive(entry("a", size=5000))[:2000]
    with pytest.raises(CopyError) as caught:
        members(data)
    assert caught.value.where == {"member": "a", "position": 2000}


def test_bounds_are_in_the_message() -> None:
    data = archive(entry("n" * 3000))
    with pytest.raises(CopyError, match="at most 1000 are allowed"):
        members(data, max_header=1000)


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu", "-S"],
        ["--format=pax", "-S", "--sparse-version=0.0"],
        ["--format=pax", "-S", "--sparse-version=0.1"],
        ["--format=pax", "-S", "--sparse-version=1.0"],
    ],
    ids=lambda options: options[-1],
)
@pytest.mark.parametrize("tail", [0, 100_000])
def test_sparse_files_are_read_whole_in_every_version(
    tmp_path: Path, options: list[str], tail: int
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        for number in range(60):
            file.seek(number * 100_000 + 5000)
            file.write(b"data" * 1024)
        file.truncate(60 * 100_000 + tail)
    data = subprocess.run(
        ["tar", *options, "-cf", "-", "sparse"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    ((file_, content),) = members(data)
    assert (file_.name, file_.size) == (b"sparse", path.stat().st_size)
    assert content == path.read_bytes()
    with pytest.raises(CopyError, match="has more than"):
        members(data, max_sparse=10)
    reader = TarReader(io.BytesIO(data))
    reader.next()
    holes = 0
    while (hole := reader.take_hole()) or reader.read(1 << 20):
        holes += hole
    assert holes >= 60 * 90_000 + tail - 4096


def sparse(size: int, pairs: list[tuple[int, int]], form: str, stored: int) -> bytes:
    """One sparse member whose map is ``pairs``, in one of the three forms that name sizes."""
    numbers = [number for pair in pairs for number in pair]
    if form == "gnu":
        data = archive(entry("x", size=stored), format=tarfile.GNU_FORMAT)
        header = bytearray(data[:512])
        header[156] = ord("S")
        header[386 : 386 + 24 * len(pairs)] = b"".join(b"%011o\0" % n for n in numbers)
        header[483:495] = b"%011o\0" % size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + data[512:]
    headers = {"GNU.sparse.size": str(size), "GNU.sparse.map": ",".join(map(str, numbers))}
    if form == "1.0":
        headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": str(size),
        }
        text = "\n".join(map(str, [len(pairs), *numbers])).encode() + b"\n"
        data = archive(entry("x", size=512 + stored, pax_headers=headers))
        at = data.index(b"x" * 512)
        return data[:at] + text.ljust(512, b"\0") + data[at + 512 :]
    return archive(entry("x", size=stored, pax_headers=headers))


@pytest.mark.parametrize("form", ["gnu", "0.1", "1.0"])
@pytest.mark.parametrize(
    ("pairs", "what"),
    [
        ([(0, 512), (600, 512)], "is not in order or passes the file's end"),
        ([(1000, 1)], "is not in order or passes the file's end"),
        ([(1001, 0)], "is not in order or passes the file's end"),
        ([(600, 100), (0, 100)], "is not in order or passes the file's end"),
        ([(0, 100), (50, 100)], "is not in order or passes the file's end"),
    ],
)
def test_a_sparse_map_stays_within_its_file_and_in_order(
    form: str, pairs: list[tuple[int, int]], what: str
) -> None:
    stored = sum(length for _, length in pairs)
    with pytest.raises(CopyError, match=what):
        members(sparse(1000, pairs, form, stored))


@pytest.mark.parametrize("form", ["gnu", "0.1", "1.0"])
def test_a_sparse_map_may_end_at_the_last_byte_and_names_what_is_stored(form: str) -> None:
    pairs = [(0, 10), (990, 10), (1000, 0)]
    ((member, content),) = members(sparse(1000, pairs, form, 20))
    assert (member.size, content) == (1000, b"x" * 10 + bytes(980) + b"x" * 10)
    with pytest.raises(CopyError, match="sparse map needs 20 bytes, 30 are stored"):
        members(sparse(1000, pairs, form, 30))


names = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
).map(lambda text: text.strip("/") or "x")
infos = st.builds(
    entry,
    names,
    size=st.integers(0, 1300),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 1),
    gid=st.integers(0, 2**32 - 1),
    mtime=st.integers(-(2**33), 2**40),
    type=st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]),
)


@given(st.lists(infos, max_size=5), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_what_pythons_tarfile_writes_is_read_as_tarfile_reads_it(
    infos: list[tarfile.TarInfo], format: int
) -> None:
    for info in infos:
        if not info.isreg():
            info.size = 0
    data = archive(*infos, format=format)
    found = members(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = tar.getmembers()
    assert [
        (m.name.rstrip(b"/"), m.mode, m.uid, m.gid, m.mtime, m.size, len(c)) for m, c in found
    ] == [
        (
            e.name.encode("utf-8", "surrogateescape"), e.mode, e.uid, e.gid,
            int(e.mtime) * 10**9, e.size, e.size,
        )
        for e in expected
    ]  # fmt: skip


@given(st.integers(1, 700), st.integers(0, 2000))
def test_short_reads_of_the_stream_make_no_difference(step: int, size: int) -> None:
    data = archive(entry("a" * 150, size=size), entry("b", size=3))
    reader = TarReader(Dripping(data, step))
    found = []
    while (member := reader.next()) is not None:
        content = b"".join(iter(lambda: reader.read(1 << 20), b""))
        found.append((member.name, len(content)))
    assert found == [(b"a" * 150, size), (b"b", 3)]


GOOD = archive(
    entry("a" * 120, size=600, pax_headers={"SCHILY.xattr.user.k": "v"}),
    entry("d/", type=tarfile.DIRTYPE),
    entry("s", type=tarfile.SYMTYPE, linkname="t" * 130),
)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4))
def test_damage_is_our_error_or_none(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    error = failure_of(lambda: members(bytes(data)))
    assert error is None or "position" in error.where


@given(st.binary(max_size=2048))
def test_noise_is_our_error_or_no_member(data: bytes) -> None:
    error = failure_of(lambda: members(data))
    assert error is None or "position" in error.where


@given(st.binary(max_size=300))
def test_noise_in_a_pax_header_is_our_error_or_none(record: bytes) -> None:
    header = bytearray(archive(entry("x", size=len(record)), format=tarfile.USTAR_FORMAT)[:512])
    header[156] = ord("x")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + record + bytes(-len(record) % 512) + archive(entry("a", size=600))
    error = failure_of(lambda: members(data))
    assert error is None or str(error).isprintable()


def test_global_headers_are_bounded_together() -> None:
    """Each adds records that hold for every later member: memory without end otherwise."""
    parts = []
    for number in range(3):
        out = io.BytesIO()
        pax = {f"SCHILY.xattr.user.{number}": "x" * 600}
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=pax) as tar:
            tar.addfile(entry("a"))
        parts.append(out.getvalue()[: 512 + 1024 + 512])
    assert len(members(parts[0] + parts[1], max_header=1500)) == 2
    with pytest.raises(CopyError, match="global headers are too long together"):
        members(b"".join(parts), max_header=1500)
