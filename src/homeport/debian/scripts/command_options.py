"""Options and operands of a command of a maintainer script, as getopt reads them."""

from __future__ import annotations

#: Long options whose value may be the next word.
_WITH_VALUE = ("mode", "owner", "group", "sum-file")


def options_of(words: list[str], with_value: str) -> tuple[dict[str, str], list[str]]:
    """Short options and operands; letters of ``with_value`` take the next word."""
    options: dict[str, str] = {}
    operands: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            return options, operands + todo
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            follows = name in _WITH_VALUE and not equals and todo
            options[name] = todo.pop(0) if follows else value
        elif word.startswith("-") and len(word) > 1:
            for letter in word[1:]:
                options[letter] = todo.pop(0) if letter in with_value and todo else ""
        else:
            operands.append(word)
    return options, operands
