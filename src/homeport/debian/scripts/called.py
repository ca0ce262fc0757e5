"""The programs that a shell script calls, by the words of its text; nothing is run.

Every command whose name is written out counts, whichever branch it is in. Not what a command
starts in its turn (``xargs rm``), and not what maintainer scripts do (``interpreter``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from homeport.budget import LimitExceeded
from homeport.debian.scripts.shell_nodes import descendants, node_text
from homeport.debian.scripts.shell_parser import LONGEST, parse_shell

if TYPE_CHECKING:
    import tree_sitter

_NAME = re.compile(r"[\w.+\[/-]+")
#: Commands that start the command which they are given.
_PREFIXES = frozenset(("exec", "command", "nohup", "nice", "env", "xargs", "time"))


class CalledPrograms(msgspec.Struct, frozen=True, kw_only=True):
    """What a script names.

    programs: names or absolute paths
    sourced:  last parts of the paths of files that it reads as its own text
    """

    programs: tuple[str, ...] = ()
    sourced: tuple[str, ...] = ()


def called_programs(data: bytes) -> CalledPrograms:
    """The commands of a shell script; none of one that has too many brackets to be parsed."""
    try:
        root = parse_shell(data[:LONGEST])
    except LimitExceeded:
        return CalledPrograms()
    programs: dict[str, None] = {}
    sourced: dict[str, None] = {}
    own: set[str] = set()
    for node in descendants(root):
        if node.type == "function_definition" and (name := node.child_by_field_name("name")):
            own.add(node_text(name))
        if node.type == "command":
            words = _words(node)
            if words[:1] in (["."], ["source"]) and len(words) > 1:
                sourced[words[1].rpartition("/")[2]] = None
            while words and words[0].rpartition("/")[2] in _PREFIXES:
                programs[words.pop(0)] = None
            programs |= dict.fromkeys(words[:1])
    return CalledPrograms(
        programs=tuple(each for each in programs if _NAME.fullmatch(each) and each not in own),
        sourced=tuple(each for each in sourced if _NAME.fullmatch(each)),
    )


def _words(command: tree_sitter.Node) -> list[str]:
    """The name of a command and its arguments, without quotes and without options in front."""
    name = command.child_by_field_name("name")
    if name is None:
        return []
    return [
        node_text(name).strip("\"'"),
        *(
            text.strip("\"'").replace('"', "")
            for each in command.children_by_field_name("argument")
            if not (text := node_text(each)).startswith("-")
        ),
    ]
