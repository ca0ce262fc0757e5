"""``dpkg-divert``: from arguments to diversions (dpkg-divert(1))."""

from __future__ import annotations

import posixpath

import msgspec

from homeport.debian.scripts.effects import Divert, EndDiversion

_ACTIONS = ("--add", "--remove", "--list", "--listpackage", "--truename")
_FLAGS = ("--quiet", "--rename", "--no-rename", "--local", "--test")
_WITH_VALUE = ("--package", "--divert")


class DivertCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One call. ``path``: what is diverted, or asked about."""

    action: str
    path: str
    to: str
    owner: str

    def effect(self, package: str) -> Divert | EndDiversion:
        if self.action == "--remove":
            return EndDiversion(package=package, path=self.path)
        return Divert(package=package, path=self.path, to=self.to, owner=self.owner)


def divert_command(package: str, words: list[str]) -> DivertCommand | None:
    """``None`` for options that Homeport does not know, and paths that dpkg refuses.

    Without ``--package`` and ``--local`` the owner is the package whose script it is.
    """
    values = {"--package": package}
    action, operands = "--add", []
    todo = list(words)
    while todo:
        word = todo.pop(0)
        name, equals, value = word.partition("=")
        if word in _ACTIONS:
            action = word
        elif word == "--local":
            values["--package"] = ":"
        elif name in _WITH_VALUE and (equals or todo):
            values[name] = value if equals else todo.pop(0)
        elif word.startswith("-") and word not in _FLAGS:
            return None
        elif not word.startswith("-"):
            operands.append(word)
    if len(operands) != 1:
        return None
    path = operands[0]
    to = values.get("--divert", f"{path}.distrib")
    if action in ("--add", "--remove") and not (_is_plain(path) and _is_plain(to)):
        return None
    return DivertCommand(action=action, path=path, to=to, owner=values["--package"])


def _is_plain(path: str) -> bool:
    return (
        path.startswith("/")
        and path not in ("/", "//")
        and posixpath.normpath(path) == path
        and not path.startswith("//")
        and "\n" not in path
    )
