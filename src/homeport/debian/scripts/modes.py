"""Modes as chmod(1) takes them: octal, or changes such as ``u+s,go-w``."""

from __future__ import annotations

import re

_OCTAL = re.compile(r"[0-7]{3,5}")
_CLAUSE = re.compile(r"([ugoa]*)([-+=])([rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def is_mode(text: str) -> bool:
    return _OCTAL.fullmatch(text) is not None or all(
        _CLAUSE.fullmatch(clause) for clause in text.split(",")
    )


def changed_mode(mode: int, text: str, *, directory: bool) -> int:
    """``mode`` after ``chmod text``, which ``is_mode`` has judged; "" changes nothing."""
    if not text:
        return mode
    if _OCTAL.fullmatch(text):
        new = int(text, 8)
        # chmod keeps these two of a directory unless five digits say otherwise.
        return new | (mode & 0o6000 if directory and len(text) < 5 else 0)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        assert match is not None
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        bits = _bits(who, match[3], execute=directory or bool(mode & 0o111))
        if match[2] == "+":
            mode |= bits
        elif match[2] == "-":
            mode &= ~bits
        else:
            mode = mode & ~_bits(who, "rwx", execute=True) | bits
    return mode


def _bits(who: str, letters: str, *, execute: bool) -> int:
    """``execute``: whether ``X`` counts."""
    bits = 0
    for letter in letters.replace("X", "x" if execute else ""):
        if letter == "s":
            bits |= (0o4000 if "u" in who else 0) | (0o2000 if "g" in who else 0)
        elif letter == "t":
            bits |= 0o1000
        else:
            for each in who:
                bits |= _BITS[letter] << _SHIFT[each]
    return bits
