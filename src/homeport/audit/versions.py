"""Versions as tools write them, compared as since and until need."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"\d+")
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")


def numbers(text: str) -> tuple[int, ...] | None:
    """The numbers at the start of a version (``v1.4.0-labs`` → 1, 4, 0), if there are any."""
    match = _VERSION.match(text)
    return tuple(int(n[:9]) for n in _NUMBERS.findall(match.group(1))[:8]) if match else None


def within(version: str, since: str, until: str) -> bool | None:
    """Whether ``since`` ≤ version < ``until``; ``None`` if the version is not precise enough.

    A version of fewer numbers than the bound is compared as far as it goes: ``1`` may be
    1.0 and 1.26, so it does not decide a bound of 1.5.
    """
    found = numbers(version)
    if found is None:
        return None
    for bound, inside in ((numbers(since), True), (numbers(until), False)):
        if bound is None:
            continue
        short = found[: len(bound)]
        if len(short) < len(bound) and bound[: len(short)] == short:
            if any(bound[len(short) :]):
                return None
            short = bound
        if (short >= bound) is not inside:
            return False
    return True
