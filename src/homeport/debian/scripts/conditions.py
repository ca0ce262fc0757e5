"""Conditions of maintainer scripts: ``[ … ]``."""

from __future__ import annotations

from homeport.debian.scripts.machine import Machine
from homeport.quantities import whole_number

Status = bool | None

_BINARY = 3
_FILE_TESTS = ("-e", "-f", "-d", "-x", "-r", "-s", "-L", "-h", "-w")


def run_test(words: list[str], machine: Machine) -> Status:
    """``[ … ]``; ``-o`` binds least, then ``-a``, then ``!``."""
    for operators, decides in ((("-o", "||"), True), (("-a", "&&"), False)):
        at = next((at for at, word in enumerate(words) if at and word in operators), None)
        if at is not None:
            both = (run_test(words[:at], machine), run_test(words[at + 1 :], machine))
            return decides if decides in both else None if None in both else not decides
    if words[:1] == ["!"]:
        status = run_test(words[1:], machine)
        return None if status is None else not status
    if len(words) == _BINARY:
        return _compared(*words)
    return _asked(words, machine)


def _asked(words: list[str], machine: Machine) -> Status:
    match words:
        case []:
            return False
        case [text] | ["-n", text]:
            return bool(text)
        case ["-z", text]:
            return not text
        case [operator, path] if operator in _FILE_TESTS:
            return machine.test_file(operator, path)
    return None


def _compared(left: str, operator: str, right: str) -> Status:
    if operator in ("=", "==", "!="):
        return (left == right) == (operator != "!=")
    a, b = whole_number(left), whole_number(right)
    if a is None or b is None:
        return None
    answers = {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b,
               "-ge": a >= b}  # fmt: skip
    return answers.get(operator)
