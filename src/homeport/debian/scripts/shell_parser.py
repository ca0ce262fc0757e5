"""A shell script as a tree, by tree-sitter's grammar of bash; nothing is run.

The parser takes quadratic time and its own stack for brackets that stay open and for long
pipelines, so both their number and the length of a script have a bound before it sees them.

Not for what commands mean (``interpreter``) nor which there are (``called``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from homeport.budget import LimitExceeded
from homeport.debian.scripts.shell_nodes import descendants
from homeport.errors import UsageError
from homeport.quantities import human_size

if TYPE_CHECKING:
    import tree_sitter


LONGEST = 256 << 10  # bytes of a script that are read; the longest in Debian has 60 kB
_MARKS = re.compile(rb"[(){}|\[\]`<]")
_MOST_MARKS = 4_000  # the most in a script of Debian is 600
_PARTED = re.compile(rb"\$[^\s$]+\$[0-9]")
_MOST_REPAIRS = 4  # one shows another where the first made the rest unreadable


class NoShellParser(UsageError):
    """The parser is not installed; what is missing is named."""

    id = "no-shell-parser"


def parse_shell(data: bytes) -> tree_sitter.Node:
    """The root of the tree.

    Raises ``LimitExceeded``, ``NoShellParser``.
    """
    if len(data) > LONGEST:
        raise LimitExceeded(f"a script of {human_size(len(data))}")
    marks = len(_MARKS.findall(data))
    if marks > _MOST_MARKS:
        raise LimitExceeded(f"a script with {marks} brackets and pipes")
    try:
        # 30 ms that recipes without scripts save
        import tree_sitter
        import tree_sitter_bash
    except ModuleNotFoundError as error:
        raise NoShellParser(
            f"shell scripts of packages require {error.name}, which is not installed",
            hint="pip install tree-sitter tree-sitter-bash, or choose slices of the packages",
        ) from error
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))
    root = parser.parse(data).root_node
    for _ in range(_MOST_REPAIRS if _PARTED.search(data) else 0):
        ends = [each.end_byte for each in descendants(root) if _is_parted(each, data)]
        if not ends:
            break
        for end in reversed(ends):
            data = b"%s{%s}%s" % (data[:end], data[end : end + 1], data[end + 1 :])
        root = parser.parse(data).root_node
    return root


def _is_parted(node: tree_sitter.Node, data: bytes) -> bool:
    """Whether it is the ``$`` of a ``$1`` that the grammar takes for two words.

    It does so in ``$folder/$1``, but not in ``$folder/${1}`` (tree-sitter-bash 0.25).
    """
    if node.type != "$" or not data[node.end_byte : node.end_byte + 1].isdigit():
        return False
    return node.parent is not None and node.parent.type != "simple_expansion"
