"""Logs of strace and fatrace, and lists of paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import UsageError
from homeport.slicing.traces import read_trace


def paths(folder: Path, text: bytes) -> set[bytes]:
    file = folder / "trace"
    file.write_bytes(text)
    return set(read_trace(file))


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3', {b"etc/passwd"}),
        (b'4711  open("/etc/passwd", O_RDONLY) = 3', {b"etc/passwd"}),
        (b'[pid  4711] stat("/etc/passwd", {st_mode=S_IFREG|0644, ...}) = 0', {b"etc/passwd"}),
        (b'12:00:01.000001 access("/etc/passwd", R_OK) = 0', {b"etc/passwd"}),
        (b'execve("/usr/bin/curl", ["curl", "/no/path"], 0x7ffe /* 9 vars */) = 0',
         {b"usr/bin/curl"}),
        (b'openat(AT_FDCWD, "/a/b", O_RDONLY <unfinished ...>', {b"a/b"}),
        (rb'open("/etc/caf\303\251\x41\"b", O_RDONLY) = 3', {b'etc/caf\xc3\xa9A"b'}),
        (b"curl(12): RCO /usr/lib/libz.so.1", {b"usr/lib/libz.so.1"}),
        (b"/usr//share/./zoneinfo/UTC", {b"usr/share/zoneinfo/UTC"}),
    ],
)  # fmt: skip
def test_what_was_opened_is_found(line: bytes, found: set[bytes], tmp_path: Path) -> None:
    assert paths(tmp_path, line + b"\n") == found


@pytest.mark.parametrize(
    "line",
    [
        b'openat(AT_FDCWD, "/etc/none", O_RDONLY) = -1 ENOENT (No such file or directory)',
        b'openat(AT_FDCWD, "relative", O_RDONLY) = 3',
        b'openat(AT_FDCWD, "/a/../b", O_RDONLY) = 3',
        b"+++ exited with 0 +++",
        b"",
    ],
)
def test_what_was_not_opened_is_not(line: bytes, tmp_path: Path) -> None:
    assert paths(tmp_path, line + b"\n/some/path\n") == {b"some/path"}


def test_a_trace_without_paths_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no absolute paths in the trace") as caught:
        paths(tmp_path, b"\x00\xff\n")
    assert "strace -f" in str(caught.value.hint)
