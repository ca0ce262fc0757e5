"""``sed`` of maintainer scripts over a text that is known: ``s``, ``d`` and ``p``, by POSIX.

Not a sed: a script with anything else has no result.
"""

from __future__ import annotations

import re

import msgspec

from homeport.debian.scripts.command_options import options_of
from homeport.debian.scripts.machine import Machine
from homeport.debian.scripts.posix_patterns import affordable, posix_pattern

_LONGEST = 1 << 18  # characters of a text
_MOST_COMMANDS = 50


class _Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command; ``only``: lines that it is for, ``but``: those that it is not for.

    until: it is for the lines to the first of ``only``
    """

    name: str
    only: re.Pattern[str] | None = None
    until: bool = False
    but: bool = False
    find: re.Pattern[str] | None = None
    replacement: str = ""
    every: bool = False


def edited(words: list[str], text: str | None, machine: Machine) -> str | None:
    """What ``sed`` prints; ``words`` without its name; ``None`` if that is not known.

    text: what comes on standard input, for a sed without a file
    """
    expressions, rest = _expressions(words)
    options, files = options_of(rest, "")
    if set(options) - set("nrEi") - {"regexp-extended", "quiet", "silent", "in-place"}:
        return None
    if len(files) > 1:
        return None
    if files:
        text = machine.text_of(files[0])
    commands = _commands(expressions, extended=bool({"r", "E", "regexp-extended"} & set(options)))
    if text is None or commands is None or len(text) > _LONGEST:
        return None
    patterns = [each for one in commands for each in (one.only, one.find) if each is not None]
    if not affordable(patterns, text.split("\n"), machine):
        return None
    return _run(commands, text, prints=not {"n", "quiet", "silent"} & set(options))


def edited_files(words: list[str]) -> list[str]:
    """The files that a sed is given; ``words`` without its name."""
    return options_of(_expressions(words)[1], "")[1]


def _expressions(words: list[str]) -> tuple[list[str], list[str]]:
    """What is to be done, and the other words."""
    expressions: list[str] = []
    rest: list[str] = []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "-e" and todo:
            expressions.append(todo.pop(0))
        elif word.startswith("--expression="):
            expressions.append(word.partition("=")[2])
        else:
            rest.append(word)
    if not expressions:
        first = next((at for at, word in enumerate(rest) if not word.startswith("-")), None)
        expressions += [rest.pop(first)] if first is not None else []
    return expressions, rest


#: Characters that one replacement may make of a line.
_MOST_MADE = 1 << 20


def _run(commands: list[_Command], text: str, *, prints: bool) -> str | None:
    lines = text.split("\n")
    last = lines.pop()
    lines += [last] if last else []
    found: list[str] = []
    before_last = 0
    ended: set[int] = set()
    for each in lines:
        before_last = len(found)
        line, kept = each, True
        for number, command in enumerate(commands):
            if command.until:
                if number in ended:
                    continue
                if command.only is not None and command.only.search(line):
                    ended.add(number)
            elif command.only is not None and bool(command.only.search(line)) == command.but:
                continue
            if command.name == "d":
                kept = False
                break
            if command.name == "p":
                found.append(line)
            if command.find is not None:
                if (len(line) + 1) * len(command.replacement) > _MOST_MADE:
                    return None  # each match may become the whole replacement
                line = command.find.sub(command.replacement, line, 0 if command.every else 1)
        if kept and prints:
            found.append(line)
    ends = found and not (last and len(found) > before_last)  # the last line may have no end
    return "\n".join(found) + ("\n" if ends else "")


def _commands(expressions: list[str], *, extended: bool) -> list[_Command] | None:
    found: list[_Command] = []
    for expression in expressions:
        rest = expression.strip("; \t\n")
        while rest:
            parsed = _command(rest, extended=extended)
            if parsed is None or len(found) == _MOST_COMMANDS:
                return None
            command, rest = parsed
            found.append(command)
            if rest and not re.match(r"\s*[;\n]", rest):
                return None
            rest = rest.lstrip("; \t\n")
    return found


def _command(text: str, *, extended: bool) -> tuple[_Command, str] | None:
    """The first command of ``text`` and what follows it."""
    only, but = None, False
    until = text.startswith("0,")  # from the first line, which may be the last one too
    text = text.removeprefix("0,")
    if text.startswith("/") or (until and not text.startswith("\\")) or text[:1] == "\\":
        text = text.removeprefix("\\")
        parts = _parts(text[1:], text[:1], 1) if text[:1].strip() else None
        only = posix_pattern(parts[0], extended=extended) if parts else None
        if parts is None or only is None:
            return None
        text = parts[-1].lstrip()
        but = text.startswith("!")
        text = text.removeprefix("!").lstrip()
    if text[:1] in ("d", "p"):
        return _Command(name=text[0], only=only, but=but, until=until), text[1:]
    mark = text[1:2]
    parts = _parts(text[2:], mark, 2) if text.startswith("s") and mark.strip() else None
    if parts is None or mark in "\\\n":
        return None
    flags = re.match(r"[gIi]*", parts[2])
    assert flags is not None
    find = posix_pattern(parts[0], extended=extended, ignore="i" in flags[0].lower())
    replacement = _replacement(parts[1])
    if find is None or replacement is None:
        return None
    command = _Command(
        name="s",
        only=only,
        but=but,
        until=until,
        find=find,
        replacement=replacement,
        every="g" in flags[0],
    )
    return command, parts[2][flags.end() :]


def _parts(text: str, mark: str, count: int) -> list[str] | None:
    r"""``count`` texts that each end with ``mark``, and the rest; ``\MARK`` is the mark itself."""
    found: list[str] = []
    part, at = "", 0
    inside = False  # a bracket, where the mark is a character like others
    while at < len(text):
        letter = text[at]
        if letter == "\\" and at + 1 < len(text):
            part += mark if text[at + 1] == mark else text[at : at + 2]
            at += 2
            continue
        if letter == mark and not inside:
            found.append(part)
            part = ""
            if len(found) == count:
                return [*found, text[at + 1 :]]
        else:
            inside = (letter == "[") if not inside else letter != "]"
            inside = inside and not found  # only in a pattern
            part += letter
        at += 1
    return None


def _replacement(text: str) -> str | None:
    """``&`` and ``\\1`` as Python's; ``None`` with what changes case."""
    out, at = "", 0
    while at < len(text):
        letter = text[at]
        if letter == "&":
            out += r"\g<0>"
        elif letter == "\\" and at + 1 < len(text):
            at += 1
            if text[at] in "123456789":
                out += rf"\g<{text[at]}>"
            elif text[at] in "LUEluc0":
                return None
            else:
                out += {"n": "\n", "t": "\t", "\\": r"\\"}.get(text[at], text[at])
        else:
            out += letter
        at += 1
    return out
