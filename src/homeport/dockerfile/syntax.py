"""The frontend image that a build file names: ``# syntax=REF`` and its two relatives.

The rules are stricter than those of other directives: column 0, before anything else.
Variables are not expanded. The build argument ``BUILDKIT_SYNTAX`` wins over all of it.
"""

from __future__ import annotations

import json
import re

import msgspec

_DIRECTIVE = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*)")
_KNOWN = ("syntax", "escape", "check")
#: The name of the frontend built into BuildKit, which is never pulled.
BUILT_IN = "dockerfile.v0"


class Syntax(msgspec.Struct, frozen=True):
    """The frontend's reference and its place (characters of the file)."""

    value: str
    start: int
    end: int


def find_syntax(text: str) -> Syntax | None:
    """The frontend that ``text`` names, or ``None``."""
    start = 1 if text.startswith("\ufeff") else 0
    if text.startswith("#!", start):
        newline = text.find("\n", start)
        start = len(text) if newline < 0 else newline + 1
    return _directive(text, start, "#") or _directive(text, start, "//") or _json(text, start)


def _directive(text: str, at: int, prefix: str) -> Syntax | None:
    seen: set[str] = set()
    while text.startswith(prefix, at):
        newline = text.find("\n", at)
        end = len(text) if newline < 0 else newline
        found = _DIRECTIVE.match(text[at + len(prefix) : end].rstrip())
        name = found.group(1).lower() if found else ""
        if found is None or name not in _KNOWN or name in seen:
            return None
        if name == "syntax":
            value = found.group(2).split(" ", 1)[0]
            start = at + len(prefix) + found.start(2)
            return Syntax(value, start, start + len(value))
        seen.add(name)
        at = end + 1
    return None


def _json(text: str, start: int) -> Syntax | None:
    if not text[start:].lstrip().startswith("{"):
        return None
    try:
        document = json.loads(text[start:])
    except (ValueError, RecursionError):
        return None
    value = document.get("syntax") if isinstance(document, dict) else None
    if not isinstance(value, str) or not value:
        return None
    at = text.find(json.dumps(value)[1:-1], start)
    return Syntax(value, at, at + len(value)) if at >= 0 else Syntax(value, start, start)
