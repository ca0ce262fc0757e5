"""A shell script as a tree, by tree-sitter's grammar of bash; nothing is run.

The parser takes quadratic time and its own stack for brackets that stay open and for long
pipelines, so both their number and the length of a script have a bound before it sees them.

Not for what commands mean (``interpreter``) nor which there are (``called``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from homeport.budget import LimitExceeded
from homeport.errors import UsageError
from homeport.quantities import human_size

if TYPE_CHECKING:
    import tree_sitter


LONGEST = 256 << 10  # bytes of a script that are read; the longest in Debian has 60 kB
_MARKS = re.compile(rb"[(){}|\[\]`<]")
_MOST_MARKS = 4_000  # the most in a script of Debian is 600


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
    language = tree_sitter.Language(tree_sitter_bash.language())
    return tree_sitter.Parser(language).parse(data).root_node
