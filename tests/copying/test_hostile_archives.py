"""No archive writes outside its destination, or raises anything but our error.

Every archive is unpacked for real below ``dest/o``; afterwards all that is not below it
must be as it was: neighbours, the root of the destination, files outside.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.copying import failure_of
from homeport.copying.codecs import OPENERS
from homeport.copying.command import Flags, copy
from homeport.copying.errors import CopyError
from homeport.copying.rooted import Rooted, RootedDirectory
from homeport.copying.rules import rule_set
from homeport.copying.sources import CopySource

pytestmark = pytest.mark.root

KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
}


def entry(name: str, kind: str = "file", link: str = "", data: bytes = b"owned") -> bytes:
    info = tarfile.TarInfo(name)
    info.type = KINDS[kind]
    info.linkname = link
    info.mode = 0o777
    info.size = len(data) if kind == "file" else 0
    blocks = info.tobuf(tarfile.PAX_FORMAT)
    return blocks + (data + bytes(-len(data) % 512) if kind == "file" else b"")


END = bytes(1024)
SAFE = entry("safe")

NAMES = (
    "../outside/f",
    "../../outside/f",
    "../../../../../../../../tmp/homeport-escaped",
    "/tmp/homeport-escaped",
    "//tmp/homeport-escaped",
    "a/../../outside/f",
    "./../../outside/f",
    "a/./../.././../outside/f",
    "..",
    "a/..",
    ".",
    "",
    "/",
    "../",
    "/proc/self/root/tmp/homeport-escaped",
    "a/" * 400 + "deep",
    "n" * 300,
    "a//..//..//outside//f",
)
TARGETS = (
    "/",
    "..",
    "../..",
    "../../outside",
    "/outside",
    "/../../outside",
    "/proc/self/root",
    "/proc/self/cwd",
    "/proc/self/fd",
    ".",
    "loop",
    "../dest/../outside",
)


def archives() -> Iterator[tuple[str, bytes]]:
    for name in NAMES:
        for kind in KINDS:
            link = {"symlink": "/outside/f", "hardlink": "safe"}.get(kind, "")
            yield f"{kind} named {name[:40]!r}", SAFE + entry(name, kind, link)
    for target in TARGETS:
        link = entry("loop", "symlink", target)
        yield f"file below a link to {target}", SAFE + link + entry("loop/f")
        yield f"directory below a link to {target}", SAFE + link + entry("loop/f/", "directory")
        yield f"link below a link to {target}", SAFE + link + entry("loop/f", "symlink", "/x")
        yield (
            f"hard link through a link to {target}",
            SAFE + link + entry("h", "hardlink", "loop/f") + entry("h", data=b"through"),
        )
        yield f"file over a link to {target}", SAFE + link + entry("loop")
        yield (
            f"two links, the second to {target}",
            SAFE + entry("l", "symlink", "loop") + link + entry("l/f"),
        )
    for name in ("../outside/f", "/outside/f", "../../outside/f", "a/../../outside/f", "", "."):
        yield f"hard link to {name!r}", SAFE + entry("h", "hardlink", name) + entry("h")
    yield "hard link to itself", SAFE + entry("h", "hardlink", "h")
    yield (
        "hard link to a deeper link",
        SAFE + entry("d/", "directory") + entry("d/l", "symlink", "../../outside/f")
        + entry("h", "hardlink", "d/l") + entry("h", data=b"through"),
    )  # fmt: skip
    yield (
        "a directory becomes a link and is written to again",
        SAFE + entry("d/", "directory") + entry("d/a") + entry("d", "symlink", "../../outside")
        + entry("d/f"),
    )  # fmt: skip
    yield (
        "the link that was followed is replaced below itself",
        entry("d/", "directory") + entry("l", "symlink", "d") + entry("l/x")
        + entry("d", "symlink", "/outside") + entry("l/f"),
    )  # fmt: skip
    yield (
        "times of a directory that became a link",
        (entry("d/", "directory") + entry("d", "symlink", "../../outside")),
    )
    yield from damaged()


def damaged() -> Iterator[tuple[str, bytes]]:
    good = entry("g", data=b"x" * 5000)
    yield "truncated in the content", SAFE + good[:2000]
    yield "truncated in a header", SAFE + good[:100]
    yield "truncated in padding", SAFE + good[: 512 + 5001]
    yield "a pax header without its member", SAFE + entry("p" * 200)[:1024]
    yield "wrong checksum", SAFE + good[:148] + b"0000000\0" + good[156:]
    for field, start, stop in (("mode", 100, 108), ("uid", 108, 116), ("size", 124, 136)):
        for text in (b"not a number", b"-1", b"99999999", b"\xff" * 12, b"\x80" + b"\xff" * 11):
            header = bytearray(good[:512])
            header[start:stop] = text[: stop - start].ljust(stop - start, b"\0")
            yield f"{field} {text!r}", SAFE + checked(header) + good[512:]
    for record in (
        b"x",
        b"99999999 path=a\n",
        b"0 path=a\n",
        b"9 path=a\n",
        b"10 path=ab\n" * 3,
        b"12 size=-100\n",
        b"30 size=99999999999999999999\n\n",
        b"15 path=a\0b/c/\n",
        b"16 GNU.sparse.map=\n",
        b"20 mtime=1e999999\n\n",
        b"14 mtime=nope\n",
    ):
        yield f"pax record {record!r}", SAFE + pax(record) + good
    yield "a pax header of 2 GB", SAFE + huge(b"x")
    yield "a long name of 2 GB", SAFE + huge(b"L")
    yield (
        "a sparse map of nothing but holes",
        SAFE
        + pax(b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n30 GNU.sparse.realsize=5000000\n")
        + good,
    )
    yield "unknown type", SAFE + checked(bytearray(good[:156] + b"?" + good[157:512])) + good[512:]
    yield "more after a lone block of zeros", SAFE + bytes(512) + good
    yield "noise", SAFE + os.urandom(4096)


def checked(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax(record: bytes) -> bytes:
    header = bytearray(entry("x", data=record)[:512])
    header[156] = ord("x")
    return checked(header) + record + bytes(-len(record) % 512)


def huge(kind: bytes) -> bytes:
    header = bytearray(entry("x")[:512])
    header[156:157] = kind
    header[124:136] = b"%011o\0" % (2 << 30)
    return checked(header)


ARCHIVES = list(archives())


@pytest.fixture
def world(tmp_path: Path) -> Path:
    for name in ("outside", "source", "dest", "dest/neighbour"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "f").write_text("untouched")
    (tmp_path / "dest" / "neighbour" / "f").write_text("untouched")
    return tmp_path


def state(world: Path) -> dict[str, object]:
    """All but what is below the destination."""
    found: dict[str, object] = {"escaped": Path("/tmp/homeport-escaped").exists()}
    for directory, directories, files in os.walk(world):
        if directory in (str(world / "dest" / "o"), str(world / "source")):
            directories.clear()
            continue
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            text = Path(path).read_bytes() if os.path.isfile(path) else b""
            facts = (status.st_mode, status.st_uid, status.st_nlink if text else 0, text)
            if path not in (str(world / "dest"), str(world / "dest" / "o"), str(world / "source")):
                found[path] = (*facts, status.st_mtime_ns)
    return found


def unpack(world: Path, data: bytes, rules: str = "current") -> None:
    (world / "source" / "t").write_bytes(data)
    source, target = Rooted(bytes(world / "source")), Rooted(bytes(world / "dest"))
    try:
        flags = Flags(rules=rule_set(rules), unpack=OPENERS)
        copy([CopySource(source, b"t")], target, b"/o/", flags)
    finally:
        source.close()
        target.close()


def test_there_are_enough_of_them() -> None:
    assert len(ARCHIVES) >= 80


@pytest.mark.parametrize("rules", ["current", "old"])
@pytest.mark.parametrize("data", [data for _, data in ARCHIVES], ids=[name for name, _ in ARCHIVES])
def test_nothing_outside_the_destination_changes(world: Path, data: bytes, rules: str) -> None:
    before = state(world)
    error = failure_of(lambda: unpack(world, data + END, rules))
    assert error is None or str(error).isprintable()
    assert state(world) == before


@pytest.mark.parametrize("data", [data for _, data in ARCHIVES], ids=[name for name, _ in ARCHIVES])
def test_a_destination_that_is_a_link_stays_in_the_root(world: Path, data: bytes) -> None:
    (world / "dest" / "o").symlink_to("/../../outside")
    before = state(world)
    before.pop(str(world / "dest" / "outside"), None)
    failure_of(lambda: unpack(world, data + END))
    after = state(world)
    assert {k: v for k, v in after.items() if "/dest/outside" not in k} == before


def test_a_directory_swapped_for_a_link_between_look_and_use_is_not_followed(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RootedDirectory.stat
    swapped = []

    def stat_then_swap(self: RootedDirectory, name: bytes) -> object:
        found = real(self, name)
        if name == b"d" and found is not None and not swapped:
            swapped.append(name)
            os.rename(world / "dest" / "o" / "d", world / "dest" / "o" / "moved")
            os.symlink(world / "outside", world / "dest" / "o" / "d")
        return found

    monkeypatch.setattr(RootedDirectory, "stat", stat_then_swap)
    before = state(world)
    with pytest.raises(CopyError):
        unpack(world, entry("d/", "directory") + entry("x/", "directory") + entry("d/f") + END)
    assert swapped
    assert state(world) == before


def test_a_link_that_keeps_being_swapped_never_leads_out(world: Path) -> None:
    top = world / "dest" / "o"
    top.mkdir()
    (top / "real").mkdir()
    (top / "l").symlink_to("real")
    stop = threading.Event()

    def swap() -> None:
        turn = 0
        while not stop.is_set():
            temporary = top / f".t{turn}"
            temporary.symlink_to("real" if turn % 2 else world / "outside")
            temporary.rename(top / "l")
            turn += 1

    members = b"".join(entry(f"l/f{n}") for n in range(20))
    thread = threading.Thread(target=swap)
    before = state(world)
    thread.start()
    try:
        for _ in range(20):
            failure_of(lambda: unpack(world, members + END))
    finally:
        stop.set()
        thread.join()
    assert state(world) == before


def test_a_truncated_member_leaves_no_part_of_a_file(world: Path) -> None:
    data = SAFE + entry("g", data=b"x" * 3_000_000)[:1_000_000]
    with pytest.raises(CopyError, match="truncated") as caught:
        unpack(world, data)
    assert caught.value.where["member"] == "g"
    assert sorted(os.listdir(world / "dest" / "o")) == ["safe"]


@pytest.mark.parametrize("compress", ["gzip", "bzip2", "xz", "zstd"])
def test_a_truncated_or_damaged_stream_is_an_error_in_every_compression(
    world: Path, compress: str
) -> None:
    # Larger than a block of bzip2: one that breaks in the first block shows no tar header
    # and is copied as the file it is, like any compressed file that holds no tar.
    plain = SAFE + entry("g", data=os.urandom(1_500_000)) + END
    packed = subprocess.run([compress, "-c"], input=plain, capture_output=True, check=True).stdout
    unpack(world, packed)
    assert (world / "dest" / "o" / "g").stat().st_size == 1_500_000
    for damage in (
        packed[:-7],
        packed[:-200_000],
        packed[:-150_000] + b"\0" * 99 + packed[-149_901:],
    ):
        if damage == packed[:-7] and compress == "zstd":
            continue  # no checksum at its end is asked for, and the tar is whole by then
        with pytest.raises(CopyError, match=r"truncated|corrupt") as caught:
            unpack(world, damage)
        assert caught.value.where["archive"] == "t"


@pytest.mark.parametrize("rules", ["current", "old"])
def test_a_file_without_a_name_is_passed_over_as_containerd_does(world: Path, rules: str) -> None:
    unpack(world, entry("") + entry("a", data=b"rest") + END, rules)
    found = [path for path in (world / "dest").rglob("a") if path.is_file()]
    assert [path.read_bytes() for path in found] == [b"rest"]


def test_an_archive_that_grows_too_large_stops_before_it_is_written(world: Path) -> None:
    (world / "source" / "t").write_bytes(entry("a", data=b"x" * 600) * 10 + END)
    source, target = Rooted(bytes(world / "source")), Rooted(bytes(world / "dest"))
    with pytest.raises(CopyError, match="more than 2000 bytes"):
        copy([CopySource(source, b"t")], target, b"/o/", Flags(unpack=OPENERS, max_size=2000))
    source.close()
    target.close()


def test_a_header_of_a_gigabyte_is_refused_without_reading_it() -> None:
    from homeport.copying.tarstream import TarReader

    reader = TarReader(io.BytesIO(huge(b"x") + b"x" * 4096))
    with pytest.raises(CopyError, match="at most 1048576 are allowed"):
        reader.next()
