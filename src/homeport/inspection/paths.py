"""How paths are written in reports."""

from __future__ import annotations


def shown_path(path: bytes) -> str:
    """A path as reports have it: absolute, bytes that are not UTF-8 as ``\\xNN``."""
    return "/" + path.decode("utf-8", "backslashreplace")
