"""Paths that a program opened, from a log of strace or fatrace, or one path a line.

``strace -f -o TRACE -e trace=file COMMAND`` writes calls with their results: those that failed
opened nothing. ``fatrace -o TRACE`` writes a line for each event. Relative paths are left out,
because the log does not say from where.
"""

from __future__ import annotations

import re
from pathlib import Path

from homeport.content.files import read_input
from homeport.errors import UsageError

_LONGEST = 256 << 20  # bytes of a log
_CALL = re.compile(rb"^(?:\[pid +\d+\] |\d+ +)?(?:[\d.:]+ +)?(\w+)\((.*)$")
_TEXT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_FAILED = re.compile(rb"\) *= -1 E|\) *= \?")
_EVENT = re.compile(rb"^(?:[\d:.]+ )?[^/\n]*\(\d+\)[^/\n]*: +[A-Z<>+]+ +(/.*)$")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)")
_PLAIN = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f"}


def read_trace(file: Path) -> frozenset[bytes]:
    """Absolute paths, without the leading slash. Raises ``UsageError`` if there are none."""
    data = read_input(file, _LONGEST, "the trace")
    found = {path for line in data.splitlines() for path in _paths(line)}
    if not found:
        raise UsageError(
            f"no absolute paths in the trace {file}",
            hint="record it: strace -f -o TRACE -e trace=file COMMAND",
        )
    return frozenset(found)


def _paths(line: bytes) -> list[bytes]:
    if event := _EVENT.match(line):
        return [clean] if (clean := _clean(event[1])) else []
    if call := _CALL.match(line):
        if _FAILED.search(call[2]):
            return []
        texts = [_unescaped(each) for each in _TEXT.findall(call[2])]
        # Arguments of a program are no paths that it opened.
        texts = texts[:1] if call[1].startswith(b"exec") else texts
        return [clean for text in texts if (clean := _clean(text))]
    return [clean] if (clean := _clean(line.strip())) else []


def _clean(path: bytes) -> bytes:
    """The path without its slash; nothing if it is relative or leads through ``..``."""
    if not path.startswith(b"/") or b"\0" in path:
        return b""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    return b"" if b".." in parts else b"/".join(parts)


def _unescaped(text: bytes) -> bytes:
    def plain(match: re.Match[bytes]) -> bytes:
        what = match[1]
        if what[:1] == b"x":
            return bytes([int(what[1:], 16)])
        if what[:1].isdigit():
            return bytes([int(what, 8) & 0xFF])
        return _PLAIN.get(what, what)

    return _ESCAPE.sub(plain, text)
