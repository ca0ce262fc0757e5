"""A shell script as a tree, by tree-sitter's grammar of bash; nothing is run.

Not for what commands mean (``interpreter``) nor which there are (``called``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.errors import UsageError

if TYPE_CHECKING:
    import tree_sitter


def parse_shell(data: bytes) -> tree_sitter.Node:
    """The root of the tree. Raises ``UsageError`` where the parser is not installed."""
    try:
        # 30 ms that recipes without scripts save
        import tree_sitter
        import tree_sitter_bash
    except ModuleNotFoundError as error:
        raise UsageError(
            f"shell scripts of packages require {error.name}, which is not installed",
            hint="pip install tree-sitter tree-sitter-bash, or choose slices of the packages",
        ) from error
    language = tree_sitter.Language(tree_sitter_bash.language())
    return tree_sitter.Parser(language).parse(data).root_node
