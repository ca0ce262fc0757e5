"""How paths are written in reports."""

from __future__ import annotations


def shown_path(path: bytes) -> str:
    """A path as reports have it: absolute, bytes that are not UTF-8 as ``\\xNN``."""
    return "/" + path.decode("utf-8", "backslashreplace")


_BIDI = "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


def visible(text: str) -> str:
    """``text`` on one line, without anything that could steer, hide or reorder what is shown."""
    return "".join(
        char if char.isprintable() and char not in _BIDI else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    if char in _BIDI:
        return f"\\u{ord(char):04x}"
    return repr(char)[1:-1]
