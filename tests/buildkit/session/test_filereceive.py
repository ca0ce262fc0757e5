"""A result that an engine sends into a directory: what it may write, and what it may not."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from builders.engine_wire import ALL_LISTED, END, FINISHED, Replayed, content, entry, file
from homeport.budget import limits_set
from homeport.buildkit.protocol.control import ERR, FIN, REQ, Packet
from homeport.buildkit.protocol.go_filemode import (
    CHAR,
    DEVICE,
    DIRECTORY,
    FIFO,
    SETGID,
    SETUID,
    SOCKET,
    STICKY,
    SYMLINK,
)
from homeport.buildkit.session import filereceive
from homeport.buildkit.session.filereceive import Received, receive_folder
from homeport.errors import HomeportError

FOLDER = DIRECTORY | 0o755


def receive(out: Path, packets: Sequence[Packet]) -> Received:
    return asyncio.run(receive_folder(out, Replayed(packets)))


def listed(out: Path) -> list[str]:
    """Paths with their types and modes, and what links lead to."""
    found = []
    for path in sorted(out.rglob("*")):
        status = path.lstat()
        text = f"{path.relative_to(out)} {stat.filemode(status.st_mode)}"
        found.append(text + (f" {os.readlink(path)}" if path.is_symlink() else ""))
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_directories_files_and_links_are_written_with_modes_and_times(out: Path) -> None:
    packets = [
        entry("d", DIRECTORY | 0o750, mtime=10**18),
        entry("d/f", 0o640, mtime=10**18, xattrs={"user.a": b"1"}),
        entry("h", 0o640, linkname=b"d/f"),
        entry("l", SYMLINK | 0o777, linkname=b"d/f"),
        ALL_LISTED, content(1, b"on"), content(1, b"e"), content(1), FINISHED,
    ]  # fmt: skip
    received = receive(out, packets)
    assert (received.entries, received.skipped) == (4, ())
    assert listed(out) == [
        "d drwxr-x---", "d/f -rw-r-----", "h -rw-r-----", "l lrwxrwxrwx d/f",
    ]  # fmt: skip
    assert (out / "d/f").read_bytes() == b"one"
    assert (out / "h").samefile(out / "d/f")
    assert (out / "d").stat().st_mtime == (out / "d/f").stat().st_mtime == 10**9


def test_a_result_is_merged_with_what_is_there(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (out / "d").mkdir(parents=True)
    (out / "d/kept").write_text("kept")
    (out / "d/f").symlink_to(other / "elsewhere")
    (out / "e").symlink_to(other)
    packets = [
        entry("d", FOLDER),
        *file(1, "d/f", b"new"),
        entry("e", FOLDER),
        *file(3, "e/f", b""),
    ]
    receive(out, [*packets, *END])
    assert (out / "d/kept").read_text() == "kept"
    assert (out / "d/f").read_text() == "new"
    assert not (out / "e").is_symlink()
    assert list(other.iterdir()) == []


def test_setuid_bits_and_privileged_attributes_are_dropped(out: Path) -> None:
    capability = {"security.capability": b"\1\0\0\2" + bytes(16), "user.nul\0": b"", "user.": b""}
    packets = [
        entry("d", FOLDER | SETGID | STICKY),
        *file(1, "s", b"x", mode=0o755 | SETUID | SETGID, xattrs=capability),
    ]
    receive(out, [*packets, *END])
    assert listed(out) == ["d drwxr-xr-x", "s -rwxr-xr-x"]
    assert "security.capability" not in os.listxattr(out / "s")


@pytest.mark.parametrize(
    "mode", [DEVICE | 0o666, DEVICE | CHAR | 0o666, FIFO | 0o666, SOCKET | 0o666, CHAR | 0o666]
)
def test_special_files_are_skipped_and_named(out: Path, mode: int) -> None:
    special = entry("s", mode, devmajor=2**62, devminor=2**62)
    assert receive(out, [special, *END]).skipped == (b"s",)
    assert listed(out) == []


REFUSED = {
    "a second entry of one path": [entry("a"), entry("a", DEVICE | CHAR), content(0, b"x")],
    "a FIFO in the place of a file": [entry("a"), entry("a", FIFO), content(0, b"x"), content(0)],
    "entries out of order": [entry("b"), entry("a")],
    "an entry below a link": [entry("l", SYMLINK, linkname=b"/etc"), entry("l/f")],
    "an entry below a file": [*file(0, "f", b""), entry("f/x")],
    "an entry below nothing": [entry("d/f")],
    "a directory in the place of a link": [entry("x", SYMLINK, linkname=b"/"), entry("x", FOLDER)],
    "a parent": [entry("../a")],
    "a parent inside": [entry("d", FOLDER), entry("d/../a")],
    "an absolute path": [entry("/a")],
    "the root itself": [entry(".")],
    "no name": [entry("")],
    "an empty component": [entry("d", FOLDER), entry("d//f")],
    "a NUL in a name": [entry(b"a\0b")],
    "a name that is too long": [entry("n" * 300), ALL_LISTED],
    "a link to nothing": [entry("l", SYMLINK)],
    "a NUL in a link": [entry("l", SYMLINK, linkname=b"a\0b")],
    "a hard link to a file outside": [entry("h", linkname=b"../../etc/hostname")],
    "a hard link to an absolute path": [entry("h", linkname=b"/etc/hostname")],
    "a hard link to a directory": [entry("d", FOLDER), entry("h", linkname=b"d")],
    "a hard link to itself": [entry("h", linkname=b"h")],
    "content that was not requested": [entry("a"), content(7, b"x")],
    "content after its end": [*file(0, "a", b"x"), content(0, b"y")],
    "content of a directory": [entry("d", FOLDER), content(0, b"x")],
    "an end before all content": [entry("a"), ALL_LISTED, FINISHED],
    "an end before all entries": [entry("a"), content(0), FINISHED],
    "more attributes than Linux has": [entry("a", xattrs={"user.a": bytes(70_000)})],
    "an error of its own": [Packet(type=ERR, data=b"boom \xff")],
    "a file over a directory of ours": [entry("ours"), content(0)],
}  # fmt: skip


@pytest.mark.parametrize("packets", REFUSED.values(), ids=list(REFUSED))
def test_a_result_is_refused_with(out: Path, packets: list[Packet]) -> None:
    (out / "ours").mkdir(parents=True)
    mode, opened = os.stat("/etc").st_mode, open_files()
    with pytest.raises(HomeportError):
        receive(out, packets)
    assert os.stat("/etc").st_mode == mode
    assert not any(path.is_char_device() or path.is_fifo() for path in out.rglob("*"))
    assert open_files() == opened


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_the_descriptor_that_was_made_takes_the_content(out: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")

    def swapped() -> Iterator[Packet]:
        yield entry("a")
        yield content(0, b"one")
        (out / "a").unlink()
        (out / "a").symlink_to(victim)  # another process of this machine, in between
        yield content(0, b"two")
        yield content(0)
        yield from END

    asyncio.run(receive_folder(out, Replayed(swapped())))
    assert victim.read_text() == "untouched"


def test_times_beyond_every_filesystem_are_bounded(out: Path) -> None:
    packets = [*file(0, "a", b"", mtime=2**63 - 1), *file(1, "b", b"", mtime=-(2**63))]
    receive(out, [*packets, *END])
    assert (out / "b").stat().st_mtime == 0


def test_few_files_are_open_at_a_time(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filereceive, "_MOST_OPEN", 3)
    before = open_files()
    most = idle = 0

    def engine() -> Iterator[Packet]:
        nonlocal most, idle
        idle = open_files()
        for number in range(50):
            yield entry(f"{number:02}")
        yield ALL_LISTED
        for number in range(50):
            most = max(most, open_files() - idle)
            yield content(number, b"x")
            yield content(number)
        yield FINISHED

    wire = Replayed(engine())
    asyncio.run(receive_folder(out, wire))
    assert [packet.id for packet in wire.received if packet.type == REQ] == list(range(50))
    assert wire.received[-1].type == FIN
    assert most == 3
    assert open_files() == before


@pytest.mark.parametrize(
    ("limit", "packets"),
    [
        ("entries=9", [entry(f"{number:02}") for number in range(10)]),
        ("depth=9", [entry("/".join("a" * (level + 1)), FOLDER) for level in range(10)]),
        ("path_bytes=99", [entry("n" * 100)]),
        ("bytes=9", file(0, "a", b"x" * 10)),
        ("memory=99", [entry("a", xattrs={"user.a": bytes(100)})]),
    ],
)
def test_a_flood_ends_at_the_limit(out: Path, limit: str, packets: list[Packet]) -> None:
    name = limit.partition("=")[0]
    with limits_set([limit]), pytest.raises(HomeportError, match="more than") as caught:
        receive(out, [*packets, *END])
    assert caught.value.where["limit"] == name
