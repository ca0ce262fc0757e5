"""For a command of a script that is not run: the line of a recipe that does the same.

The warning about the command ends when the recipe has the path or the account.
"""

from __future__ import annotations

import re
import shlex

import msgspec

_ACCOUNTS = ("adduser", "useradd")
_GROUPS = ("addgroup", "groupadd")
_WRITES = ("cp", "ucf", "install", "touch", "tee", "mv", "sed")
_ATTRIBUTES = ("chown", "chmod", "chgrp", "setcap", "dpkg-statoverride")
_PLAIN = re.compile(r"[^$`*?\[]+")


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe's line. subject: the path or the account that it is about."""

    line: str
    subject: str


def suggest(command: str) -> Suggestion | None:  # noqa: PLR0911  a row a command
    """``None`` if the command does not say what it makes, or in variables only."""
    try:
        words = shlex.split(command.replace(" \\ ", " "))
    except ValueError:
        return None
    if ">" in words[:-1]:
        return _file(words[words.index(">") + 1])
    operands = [word for word in words[1:] if not word.startswith("-") and word != "\\"]
    if not operands:
        return None
    name = words[0].rpartition("/")[2]
    if name in _ACCOUNTS + _GROUPS:
        return _account(name, operands)
    if name == "update-alternatives" and "--install" in words and len(operands) > 2:
        return _link(operands[0], operands[2])
    if name == "ln" and len(operands) == 2:
        return _link(operands[1], operands[0])
    if name == "mkdir" or (name == "install" and {"-d", "--directory"} & set(words)):
        return _path(operands[-1], "directories: [{{path: {0}}}]")
    if name in _ATTRIBUTES:
        return _path(operands[-1], "files: [{{to: {0}, from: FILE, mode: MODE, uid: UID}}]")
    return _file(operands[-1]) if name in _WRITES else None


def _file(path: str) -> Suggestion | None:
    return _path(path, "files: [{{to: {0}, from: FILE}}]")


def _link(path: str, target: str) -> Suggestion | None:
    found = _path(path, "links: [{{path: {0}, target: {1}}}]", target)
    return found if _PLAIN.fullmatch(target) else None


def _path(path: str, line: str, *more: str) -> Suggestion | None:
    if not path.startswith("/") or not _PLAIN.fullmatch(path):
        return None
    return Suggestion(line=line.format(path, *more), subject=path.rstrip("/"))


def _account(command: str, operands: list[str]) -> Suggestion | None:
    name = operands[-1]
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*", name):
        return None
    kind, number = ("groups", "gid") if command in _GROUPS else ("users", "uid")
    line = f"accounts: {{{kind}: [{{name: {name}, {number}: NUMBER}}]}}"
    return Suggestion(line=line, subject=name)
