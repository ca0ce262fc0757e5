"""The words of a command line in the order that click reads: options of every command behind it."""

from __future__ import annotations

import re

#: Options of every command that may also stand before it; the second take a value. A test
#: compares them with the declared ones.
ANYWHERE = (
    frozenset(
        {"-q", "--quiet", "-v", "--verbose", "--full", "--no-progress", "--offline", "--no-project"}
    ),
    frozenset({"--format", "--color", "--cache-dir", "--config", "--project", "--ca", "--limit"}),
)


def arranged(arguments: list[str]) -> list[str]:
    """``help X`` as ``X --help``, ``version`` as ``--version``, and options of every command last.

    ``homeport -v inspect x`` is ``homeport inspect x -v``; what follows ``--`` stays behind it.
    """
    rest = list(arguments)
    early: list[str] = []
    while rest and rest[0].startswith("-"):
        word = rest[0].partition("=")[0]
        if rest[0] in ANYWHERE[0] or re.fullmatch(r"-[qv]{2,}", rest[0]):
            count = 1
        elif word in ANYWHERE[1]:
            count = 1 if "=" in rest[0] else 2
        else:
            break
        early += rest[:count]
        del rest[:count]
    if rest[:1] == ["help"]:
        return [*rest[1:], "--help"]
    if rest == ["version"]:
        return ["--version"]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *early, *rest[end:]] if rest else []
