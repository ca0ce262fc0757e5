"""Which of many tags is a newer version of one, by its own form only."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: ``v1.2.3-slim``: a prefix, numbers, and what must stay the same.
_VERSION = re.compile(r"(v?)([0-9]{1,18}(?:\.[0-9]{1,18})*)((?:[-_][A-Za-z0-9][A-Za-z0-9._-]*)?)")
#: A number of so many digits is a date or a build, not a version.
_DATE_DIGITS = 8


def newer_tag(tag: str, tags: Sequence[str]) -> tuple[str, bool] | None:
    """The highest newer version of the same form, and whether it is a patch: only the last
    of three numbers or more differs.

    The form is prefix, count of numbers and suffix: ``3.13-slim`` is not updated by ``3.14``, nor
    ``1.2`` by ``20260101``, nor a release by a prerelease.
    """
    current = _version(tag)
    if current is None:
        return None
    form, numbers = current
    found = [(other[1], name) for name in tags if (other := _version(name)) and other[0] == form]
    best = max(found, default=(numbers, tag))
    if best[0] <= numbers:
        return None
    patches = [each for each in found if each[0][:-1] == numbers[:-1] and each[0] > numbers]
    if patches and len(numbers) > 2:
        return max(patches)[1], True
    return best[1], False


def _version(tag: str) -> tuple[tuple[object, ...], tuple[int, ...]] | None:
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    words = match[2].split(".")
    dated = tuple(len(word) >= _DATE_DIGITS for word in words)
    return (match[1], dated, match[3]), tuple(map(int, words))
