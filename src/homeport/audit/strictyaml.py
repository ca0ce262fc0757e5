"""Our own YAML files (rules, policies, plans) → typed values, faults named by line.

The YAML is read as recipes are; which type a scalar has is decided by how it is written.
Unknown fields, wrong types and keys written twice are errors that name file and line.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from homeport.errors import UsageError
from homeport.recipe.yamltext import BadText, Entries, Items, Scalar, YamlNode, parse_yaml

T = TypeVar("T")

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_PATH = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}


class BadFile(UsageError):
    """A rule, policy, baseline or plan that cannot be used; file, line and field are named."""

    id = "audit-file"


def read_yaml(data: bytes, file: str, type: type[T]) -> T:
    """Read one document as ``type``. Raises ``BadFile``."""
    try:
        node = parse_yaml(data, file)
        value = _plain(node)
    except BadText as error:
        raise BadFile(error.what, where=error.where, hint=error.hint) from error
    except BadFile as error:
        raise error.at(file=file)  # noqa: B904  the same error, with its file
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").lstrip("$.")
        place: dict[str, str | int] = {"file": file, "line": _line(node, path), "field": field}
        raise BadFile(what[:1].lower() + what[1:], where=place) from error


def _plain(node: YamlNode) -> Any:
    if isinstance(node, Items):
        return [_plain(item) for item in node.items]
    if isinstance(node, Entries):
        found: dict[str, Any] = {}
        for key, value in node.entries:
            if key.text in found:
                raise BadFile(f"{key.text!r} is written twice", where={"line": key.line})
            found[key.text] = _plain(value)
        return found
    if node.plain and node.text in _WORDS:
        return _WORDS[node.text]
    return int(node.text) if node.plain and _INTEGER.fullmatch(node.text) else node.text


def _line(node: YamlNode, path: str) -> int:
    """The line of the deepest part of a path that exists."""
    line = node.line
    for name, index in _PATH.findall(path):
        if isinstance(node, Entries) and name:
            found = [(k, v) for k, v in node.entries if k.text == name]
            if not found:
                return line
            line, node = found[0][0].line, found[0][1]
        elif isinstance(node, Items) and index.isdigit() and int(index) < len(node.items):
            node = node.items[int(index)]
            line = node.line
        elif isinstance(node, Scalar):
            return node.line
    return line
