"""What stands between the braces of a Go template."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SET = re.compile(r"\$(\w+)\s*:?=\s*(.*)", re.DOTALL)
BLOCKS = frozenset(("if", "with", "range", "block", "define"))


def assignments(text: str) -> dict[str, str]:
    """Variables of a template that have one meaning, and the expressions of them."""
    found: dict[str, list[str]] = {}
    for action in actions(text):
        if variable := assignment(action):
            found.setdefault(variable[0], []).append(variable[1])
    return {name: every[0] for name, every in found.items() if len(set(every)) == 1}


def assignment(action: str) -> tuple[str, str] | None:
    """The variable that an action sets, ``$name``, and the expression of it."""
    match = _SET.match(action)
    return (f"${match.group(1)}", match.group(2)) if match else None


def actions(text: str) -> list[str]:
    """The expressions between braces."""
    return [inner for _, _, inner in spans_of_actions(text)]


def spans_of_actions(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and expression of every action, in time that grows with the text."""
    at = 0
    while (start := text.find("{{", at)) >= 0 and (close := text.find("}}", start)) >= 0:
        at = close + 2
        yield start, at, text[start + 2 : close].removeprefix("-").removesuffix("-").strip()
