"""Text within the width of a terminal: broken at spaces only, paths cut where a part begins.

For reports of lines and sentences; tables fit themselves (``homeport.cli.screen``).
"""

from __future__ import annotations

import re
import textwrap

_BETWEEN_WORDS = re.compile(r"[-_.:@ ]")
_ELLIPSIS = "…"
_NARROWEST = 40  # columns; a terminal that reports less is not fitted
_HANGING = 4


def wrapped(text: str, width: int | None, *, hanging: int = _HANGING) -> str:
    """Each line in at most ``width`` columns, a longer word excepted; ``None``: as it is.

    hanging: by how much more than its first line the rest of a line is indented
    """
    if width is None:
        return text
    room = max(width, _NARROWEST)
    lines: list[str] = []
    for line in text.split("\n"):
        if len(line) <= room:
            lines.append(line)
            continue
        indent = len(line) - len(line.lstrip(" "))
        lines += textwrap.wrap(
            line, room, subsequent_indent=" " * (indent + hanging), break_long_words=False,
            break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
        )  # fmt: skip
    return "\n".join(lines)


def end_of_path(text: str, width: int | None) -> str:
    """The end of a path or name, which tells most: whole parts, else whole words, behind ``…``."""
    if width is None or len(text) <= width:
        return text
    if width <= 1:
        return _ELLIPSIS[:width]
    kept = text[-(width - 1) :]
    start = kept.find("/")
    if start < 0:
        found = _BETWEEN_WORDS.search(kept)
        start = found.start() if found and found.start() <= len(kept) // 2 else 0
    return _ELLIPSIS + kept[start:]
