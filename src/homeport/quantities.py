"""Sizes and counts as people write and read them: ``5.09 MB``, ``2 layers``, ``5GiB``."""

from __future__ import annotations

import re

from homeport.errors import UsageError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}


def human_size(size: int) -> str:
    """Bytes as people read them: ``5.09 MB`` (10^6 bytes)."""
    number = float(size)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{size} B" if unit == "B" else f"{number:.2f} {unit}"
        number /= 1000
    raise AssertionError


def apart(*sizes: int) -> tuple[str, ...]:
    """Sizes as people read them; to the byte where two that differ would read the same."""
    texts = tuple(map(human_size, sizes))
    if len(set(texts)) < len(set(sizes)):
        return tuple(f"{size:,} B" for size in sizes)
    return texts


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 layer``, ``2 layers``; ``nouns`` where the plural is irregular."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def parse_size(text: str) -> int:
    """Bytes from ``5GiB``, ``500MB`` or plain digits. Raises ``UsageError``."""
    compact = text.strip().replace(" ", "").upper()
    digits = compact.rstrip("KMGTIB")
    unit = _UNITS.get(compact[len(digits) :])
    try:
        number = float(digits)
    except ValueError:
        number = -1
    if unit is None or not 0 <= number < 1 << 60:
        raise UsageError(f"invalid size {text!r}", hint="write it like 5GiB or 500MB")
    return int(number * unit)


_WHOLE = re.compile(r"[0-9]{1,18}")


def whole_number(text: str) -> int | None:
    """The number that ``text`` of a stranger is; ``None`` for anything else.

    ``str.isdigit`` is true for digits that ``int`` does not read (``²``), and ``int`` refuses
    thousands of them.
    """
    return int(text) if _WHOLE.fullmatch(text) else None
