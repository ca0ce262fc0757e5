"""Text of others on one line of ours: nothing in it steers, hides or reorders what is shown.

Names in archives, answers of servers and output of programs may hold escape sequences,
direction marks, invisible characters and bytes that are not UTF-8. All of them become
escapes here. Documents (JSON) keep the text as it is: their encoding escapes it.

``copying.errors.shown`` is the same for names of files inside the helper image, where nothing
of this package exists; a test compares the two.
"""

from __future__ import annotations


def printable(text: str, *, lines: bool = False) -> str:
    """``text`` with an escape for everything that is not visible.

    ``lines`` keeps line breaks and tabs. Bytes that were not UTF-8 (as ``os.fsdecode`` marks
    them) become ``\\xNN``.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(char if char.isprintable() or char in kept else _escaped(char) for char in text)


def path_text(path: bytes) -> str:
    """A path in an image as documents have it: absolute, ``\\xNN`` for bytes that are not UTF-8.

    Control characters stay: ``printable`` is for those who show it.
    """
    return "/" + path.lstrip(b"/").decode("utf-8", "backslashreplace")


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":
        return f"\\x{ord(char) - 0xDC00:02x}"
    return repr(char)[1:-1]
