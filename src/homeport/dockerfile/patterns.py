"""Patterns in ``${x#p}``, ``${x%p}`` and ``${x/p/r}``: ``*``, ``?`` and escaped characters.

Matched by a table instead of a regular expression: time grows with value times pattern
for every pattern, and no text can make it explode.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

#: Bound on value length times pattern length.
MOST_STEPS = 1 << 20

_ANY = object()
_ONE = object()


class BadPattern(Exception):
    """The pattern, or its size, is not usable; the text gives the reason."""


class WordPattern(msgspec.Struct, frozen=True):
    """Characters, ``_ONE`` and ``_ANY`` in order."""

    tokens: tuple[object, ...]

    @classmethod
    def parse(cls, text: str, *, for_value: str = "") -> WordPattern:
        """Read a pattern. Raises ``BadPattern``."""
        if (len(text) + 1) * (len(for_value) + 1) > MOST_STEPS:
            raise BadPattern("pattern and value together are too long")
        tokens: list[object] = []
        chars = iter(range(len(text)))
        for at in chars:
            char = text[at]
            if char == "\\":
                following = text[at + 1 : at + 2]
                if following in ("}", "/") and following:
                    continue
                if not following or following not in "*?\\":
                    raise BadPattern(f"\\{following} is not an escape in a pattern")
                tokens.append(following)
                next(chars)
            else:
                tokens.append({"*": _ANY, "?": _ONE}.get(char, char))
        return cls(tuple(tokens))

    def prefix(self, value: str, *, longest: bool) -> int | None:
        """Where the shortest or longest match at the start ends."""
        ends = _ends(self.tokens, value, 0)
        return (ends[-1] if longest else ends[0]) if ends else None

    def suffix(self, value: str, *, longest: bool) -> int | None:
        """Where the shortest or longest match at the end starts."""
        ends = _ends(self.tokens[::-1], value[::-1], 0)
        return len(value) - (ends[-1] if longest else ends[0]) if ends else None

    def replace(self, value: str, replacement: str, *, every: bool) -> str:
        """Replace the first longest match, or every one, from left to right."""
        found: list[str] = []
        at = 0
        after_match = -1
        budget = MOST_STEPS
        while at <= len(value):
            budget -= len(self.tokens) * (len(value) - at) + 1
            if budget < 0:
                raise BadPattern("pattern and value together are too long")
            ends = _ends(self.tokens, value, at)
            if ends and not (ends[-1] == at == after_match):
                found.append(replacement)
                if not every:
                    return "".join(found) + value[ends[-1] :]
                if ends[-1] > at:
                    at = after_match = ends[-1]
                    continue
            found.append(value[at : at + 1])
            at += 1
        return "".join(found)


def _ends(tokens: Sequence[object], value: str, start: int) -> list[int]:
    """Every place where a match that begins at ``start`` may end, ascending."""
    places = {start}
    for token in tokens:
        if token is _ANY:
            places = _stretched(places, value)
        else:
            places = {
                at + 1
                for at in places
                if at < len(value) and (value[at] == token or (token is _ONE and value[at] != "\n"))
            }
        if not places:
            return []
    return sorted(places)


def _stretched(places: set[int], value: str) -> set[int]:
    reached: set[int] = set()
    for at in sorted(places):
        if at in reached:
            continue
        line_end = value.find("\n", at)
        reached.update(range(at, (len(value) if line_end < 0 else line_end) + 1))
    return reached
