"""Globs over paths of an image, matched in time that is linear in the length of the path.

``*`` and ``?`` stay within a name, ``**`` crosses directories, ``**/`` may be empty, ``[a-z]`` is a
class of bytes that ``!`` or ``^`` negates (docs/formats/globs.md). Names come from a stranger's
image, so all states of a pattern are followed at once: with backtracking, as in ``re``, a pattern
of several stars takes a power of the length.
"""

from __future__ import annotations

from typing import Literal

#: ``one`` byte of a set; ``many`` of them; ``names``: any number of names with their slashes,
#: which has a second state for being inside a name.
Step = tuple[Literal["one", "many", "names", "inside"], frozenset[int]]

_SLASH = 0x2F
_ALL = frozenset(range(256))
_IN_NAME = _ALL - {_SLASH}
_MAX_SETS = 1 << 10  # of states that are remembered, with up to 256 entries in the table
_WILDCARDS: dict[int, Step] = {0x2A: ("many", _IN_NAME), 0x3F: ("one", _IN_NAME)}
_FAILED = -1


class Glob:
    """A compiled pattern. Sets of states are numbered as they are met, so most bytes of a path
    cost one look into a table."""

    def __init__(self, pattern: bytes) -> None:
        self._steps = _parse(pattern)
        self._end = len(self._steps)
        self._forget()

    def matches(self, path: bytes) -> bool:
        """Whether the whole of ``path`` matches."""
        state = 0
        for byte in path:
            following = self._table.get(state << 8 | byte)
            if following is None:
                following = self._next(state, byte)
            if following == _FAILED:
                return False
            state = following
        return self._end in self._sets[state]

    def _forget(self) -> None:
        first = self._closed({0})
        self._table: dict[int, int] = {}
        self._sets = [first]
        self._numbers = {first: 0}

    def _next(self, state: int, byte: int) -> int:
        """The number of the set that follows; made when it is first needed."""
        before = self._sets[state]
        reached = set()
        for at in before:
            if at == self._end or byte not in (step := self._steps[at])[1]:
                if at < self._end and step[0] == "inside" and byte == _SLASH:
                    reached.add(at - 1)
                continue
            reached.add(at if step[0] in ("many", "inside") else at + 1)
        found = self._closed(reached)
        if not found:
            self._table[state << 8 | byte] = _FAILED
            return _FAILED
        number = self._numbers.get(found)
        if number is None:
            if len(self._sets) >= _MAX_SETS:
                self._forget()
                self._sets.append(found)
                self._numbers[found] = 1
                return 1
            number = self._numbers[found] = len(self._sets)
            self._sets.append(found)
        self._table[state << 8 | byte] = number
        return number

    def _closed(self, states: set[int]) -> frozenset[int]:
        """With the states that are reached without a byte."""
        todo = list(states)
        while todo:
            at = todo.pop()
            if at == self._end:
                continue
            kind = self._steps[at][0]
            more = at + 1 if kind == "many" else at + 2 if kind == "names" else None
            if more is not None and more not in states:
                states.add(more)
                todo.append(more)
        return frozenset(states)


def is_glob(pattern: bytes) -> bool:
    """Whether a pattern has wildcards."""
    return any(char in pattern for char in b"*?[")


def _parse(pattern: bytes) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        close = pattern.find(b"]", at + 2)
        if pattern.startswith(b"**/", at):
            steps += [("names", _IN_NAME), ("inside", _IN_NAME)]
            at += 3
        elif pattern.startswith(b"**", at):
            steps.append(("many", _ALL))
            at += 2
        elif char == 0x5B and close > 0:
            steps.append(("one", _class(pattern[at + 1 : close])))
            at = close + 1
        else:
            steps.append(_WILDCARDS.get(char) or ("one", frozenset({char})))
            at += 1
    return steps


def _class(text: bytes) -> frozenset[int]:
    negated = text[:1] in (b"!", b"^")
    text = text[negated:]
    found: set[int] = set()
    at = 0
    while at < len(text):
        if text[at + 1 : at + 2] == b"-" and at + 2 < len(text):
            found.update(range(text[at], text[at + 2] + 1))
            at += 3
        else:
            found.add(text[at])
            at += 1
    return _ALL - found if negated else frozenset(found)
