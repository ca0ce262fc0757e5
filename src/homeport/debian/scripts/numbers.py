"""Numbers in the words of maintainer scripts."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"[0-9]{1,18}")  # what a shell counts with, and no digits of other scripts


def whole_number(text: str) -> int | None:
    """The number that ``text`` is, without a sign; ``None`` for anything else."""
    return int(text) if _WHOLE.fullmatch(text) else None
