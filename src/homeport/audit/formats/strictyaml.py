"""Our own YAML files (rules, policies, plans) → typed values, faults named by line.

Which type a scalar has is decided by how it is written: numbers, true, false and null
without quotes, everything else is text. Unknown fields, wrong types, keys written twice,
aliases, tags and second documents are errors that name file and line.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
import yaml

from homeport.errors import UsageError

T = TypeVar("T")

#: Bounds on one file.
LARGEST = 16 << 20
DEEPEST = 20

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_PATH = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "~": None, "": None}
_STANDARD = "tag:yaml.org,2002:"


class BadFile(UsageError):
    """A rule, policy, baseline or plan that cannot be used; file, line and field are named."""

    id = "audit-file"


def read_yaml(data: bytes, file: str, type: type[T]) -> T:
    """Read one document as ``type``. Raises ``BadFile``."""
    if len(data) > LARGEST:
        raise BadFile(f"the file is larger than {LARGEST} bytes", where={"file": file})
    try:
        node = _LOADER(data.decode("utf-8").removeprefix("\ufeff")).get_single_node()
        value = _plain(node, set(), 0)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadFile("the file is not UTF-8", where={"file": file, "line": line}) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where: dict[str, str | int] = {"file": file, "line": mark.line + 1 if mark else 1}
        raise BadFile(f"not YAML: {error.problem or error.context}", where=where) from error
    except yaml.YAMLError as error:
        raise BadFile(f"not YAML: {' '.join(str(error).split())}", where={"file": file}) from error
    except BadFile as error:
        raise error.at(file=file)  # noqa: B904  the same error, with its file
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").lstrip("$.")
        place: dict[str, str | int] = {"file": file, "line": _line(node, path), "field": field}
        raise BadFile(what[:1].lower() + what[1:], where=place) from error


def _plain(node: Any, seen: set[int], depth: int) -> Any:
    if node is None:
        raise BadFile("the file is empty", where={"line": 1})
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise BadFile("aliases have no meaning here", where={"line": line})
    if depth > DEEPEST:
        raise BadFile(f"nested more than {DEEPEST} deep", where={"line": line})
    if not str(node.tag).startswith(_STANDARD):
        raise BadFile(f"a tag ({node.tag}) has no meaning here", where={"line": line})
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, seen, depth + 1) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value
            if not isinstance(name, str):
                raise BadFile("a key must be text", where={"line": key.start_mark.line + 1})
            if name in found:
                where = {"line": key.start_mark.line + 1}
                raise BadFile(f"{name!r} is written twice", where=where)
            found[name] = _plain(value, seen, depth + 1)
        return found
    text = str(node.value)
    if node.style:
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _line(node: Any, path: str) -> int:
    """The line of the deepest part of a path that exists."""
    line: int = node.start_mark.line + 1
    for name, index in _PATH.findall(path):
        if isinstance(node, yaml.MappingNode) and name:
            found = [(k, v) for k, v in node.value if k.value == name]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and index.isdigit():
            if int(index) >= len(node.value):
                return line
            node = node.value[int(index)]
            line = node.start_mark.line + 1
    return line
