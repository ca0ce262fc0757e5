"""Parts of a parsed shell script: branches, words, redirections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tree_sitter


def branches_of_if(
    node: tree_sitter.Node,
) -> list[tuple[list[tree_sitter.Node], list[tree_sitter.Node]]]:
    """Conditions and bodies of an ``if``; ``else`` has no condition."""
    condition: list[tree_sitter.Node] = []
    body: list[tree_sitter.Node] = []
    rest: list[tuple[list[tree_sitter.Node], list[tree_sitter.Node]]] = []
    into = condition
    for child in node.children:
        if child.type in ("then", "else"):
            into = body
        elif child.type in ("elif_clause", "else_clause"):
            rest += branches_of_if(child)
        elif child.is_named and child.type != "comment":
            into.append(child)
    return [(condition, body), *rest]


def descendants(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The node and all below it, in the order of the script."""
    todo = [node]
    while todo:
        each = todo.pop()
        yield each
        todo += reversed(each.children)


def node_text(node: tree_sitter.Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def writes(node: tree_sitter.Node) -> bool:
    """Whether a redirection writes a file."""
    text = node_text(node).lstrip("0123456789")
    return text.startswith(">") and not text.startswith(">&")


def reads(node: tree_sitter.Node) -> bool:
    """Whether a redirection gives standard input the text of a file."""
    text = node_text(node)
    return text.startswith(("<", "0<")) and not text.lstrip("0").startswith(("<&", "<("))


def has_wildcards(node: tree_sitter.Node) -> bool:
    """Whether ``*``, ``?`` or ``[`` of a word mean other characters: not in quotes or after ``\\``.

    What an expansion without quotes holds means them too.
    """
    if node.type == "concatenation":
        return any(has_wildcards(child) for child in node.children)
    if node.type in ("string", "raw_string"):
        return False
    return bool(re.search(r"[*?[$`]", re.sub(r"\\.", "", node_text(node), flags=re.DOTALL)))


def literal(data: bytes) -> str:
    """The text between expansions: only ``\\`` before ``$``, ``"``, ``\\`` and line ends counts."""
    return re.sub(r'\\([$"\\`\n])', lambda m: m[1].strip("\n"), data.decode("utf-8", "replace"))


def unquoted(text: str) -> str:
    return text.replace('"', "").replace("'", "")
