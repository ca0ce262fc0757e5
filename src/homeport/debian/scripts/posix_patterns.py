"""POSIX expressions of maintainer scripts as Python's, and searches in a text that is known.

Patterns are a stranger's, and Python's ``re`` has no limit of time, so that one which could take
long has no result.
"""

from __future__ import annotations

import re

from homeport.debian.scripts.machine import Machine

_MOST_WORK = 20_000_000  # characters compared in the worst case
_COMPARED = 50  # in a microsecond
_SINGLE = re.compile(r"([*+?]|\{\d*,?\d*\})")


def affordable(patterns: list[re.Pattern[str]], lines: list[str], machine: Machine) -> bool:
    """Charge the script for a search; whether it is short enough to be made."""
    work = sum(_work(each.pattern, len(line)) for each in patterns for line in lines)
    if work > _MOST_WORK:
        return False
    machine.budget.steps(len(lines) + work // _COMPARED)
    return True


def _work(pattern: str, length: int) -> int:
    """How many characters are compared in the worst case; groups are not repeated."""
    found: list[str] = _SINGLE.findall(re.sub(r"\\.|\[[^]]*\]|\(\?:", ".", pattern))
    several = sum(each != "?" for each in found) + (not pattern.startswith("^"))
    return int(min(max(length, 2) ** several * 2 ** found.count("?"), _MOST_WORK + 1))


def matching(
    pattern: str, lines: list[str], machine: Machine, *, extended: bool, ignore: bool = False
) -> list[bool] | None:
    """Which lines have a POSIX expression; ``None``: it is not known, or takes long."""
    found = posix_pattern(pattern, extended=extended, ignore=ignore)
    if found is None or not affordable([found], lines, machine):
        return None
    return [found.search(line) is not None for line in lines]


#: What only a backslash makes an operator in a basic expression, and only none in an extended one.
_OPERATORS = "(){}|+?"
_CLASSES = {
    "space": r"\s", "blank": r" \t", "digit": r"0-9", "alpha": "a-zA-Z", "alnum": "a-zA-Z0-9",
    "upper": "A-Z", "lower": "a-z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip


def posix_pattern(text: str, *, extended: bool, ignore: bool = False) -> re.Pattern[str] | None:
    """A POSIX expression as Python's; ``None`` with a repeated group, or what is not known."""
    out, at = "", 0
    while at < len(text):
        letter = text[at]
        operator = ""
        if letter == "[":
            bracket, at = _bracket(text, at)
            if not bracket:
                return None
            out += bracket
            continue
        if letter == "\\" and at + 1 < len(text):
            following = text[at + 1]
            if following in "123456789":
                return None  # a reference inside a pattern takes long
            if following in _OPERATORS and not extended:
                operator = following
            out += operator or (
                f"\\{following}" if following in "tnsSwWb" else re.escape(following)
            )
            at += 2
        else:
            if letter in _OPERATORS and extended:
                operator = letter
            start = out == "" or out.endswith(("(", "|"))
            plain = letter == "*" and (start or out == "^")
            keeps = (
                letter in ".*" or (letter == "^" and start) or (letter == "$" and _ends(text, at))
            )
            out += operator or (letter if keeps and not plain else re.escape(letter))
            at += 1
        if (operator in tuple("+?{") or letter == "*") and re.search(r"\)[+?{*]$", out):
            return None
    try:
        return re.compile(out, re.IGNORECASE if ignore else 0)
    except re.error:
        return None


def _ends(text: str, at: int) -> bool:
    return at + 1 == len(text) or text[at + 1 :].startswith((")", "|", "\\)", "\\|"))


def _bracket(text: str, at: int) -> tuple[str, int]:
    """``[…]`` as Python writes it, and where it ends; "" if it is not known."""
    end, inside = at + 1, ""
    end += text.startswith("^", end)
    negated = text[at + 1 : end]
    while end < len(text) and (text[end] != "]" or not inside):
        if text.startswith("[:", end):
            name = text[end + 2 : text.find(":]", end)]
            if name not in _CLASSES:
                return "", at
            inside += _CLASSES[name]
            end += len(name) + 4
            continue
        if text.startswith("\\t", end) or text.startswith("\\n", end):
            inside += text[end : end + 2]
            end += 2
            continue
        inside += "-" if text[end] == "-" else re.escape(text[end])
        end += 1
    return (f"[{negated}{inside}]", end + 1) if end < len(text) else ("", at)
