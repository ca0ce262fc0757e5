"""YAML text → nodes with places, bounded, without any of YAML's implicit types.

A scalar stays the text that was written, and whether it was quoted: what it means is
decided by the field that it stands in (``recipe.shapes``). Tags, several documents and
keys that are no plain text are refused; aliases are kept, and what they expand to is
bounded by the reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from homeport.errors import UsageError

#: Bounds on one file: bytes, nodes, nesting.
LARGEST = 1 << 20
MOST_NODES = 50_000
DEEPEST = 32

# libyaml where PyYAML was built with it; the slower one reads the same language.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadText(UsageError):
    """A recipe or slice file cannot be used as it is; file, line, column and field are named."""

    id = "recipe"


class Scalar(msgspec.Struct, frozen=True):
    """One value. ``plain``: written without quotes and not as a block."""

    text: str
    plain: bool
    line: int
    column: int


class Items(msgspec.Struct, frozen=True):
    """A list."""

    items: list[YamlNode]
    line: int
    column: int


class Entries(msgspec.Struct, frozen=True):
    """A mapping in its written order; a key that was written twice is here twice."""

    entries: list[tuple[Scalar, YamlNode]]
    line: int
    column: int


YamlNode = Scalar | Items | Entries


def parse_yaml(data: bytes, file: str) -> YamlNode:
    """Read the one document of a file. Raises ``BadText`` at its first fault of syntax."""
    if len(data) > LARGEST:
        raise BadText(f"the file is larger than {LARGEST} bytes", where={"file": file})
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadText("the file is not UTF-8", where={"file": file, "line": line}) from error
    try:
        return _Composer(yaml.parse(text, Loader=_LOADER)).document()
    except BadText as error:
        error.at(file=file)
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        what = " ".join(str(part) for part in (error.problem, error.context) if part)
        raise BadText(f"not YAML: {what}", where={"file": file, **place}) from error
    except yaml.YAMLError as error:
        raise BadText(f"not YAML: {' '.join(str(error).split())}", where={"file": file}) from error


class _Composer:
    """Makes nodes of events, one at a time, so that no bound is passed unnoticed."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, YamlNode] = {}
        self._nodes = 0

    def document(self) -> YamlNode:
        next(self._events)  # start of the stream
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            raise BadText(
                "the file is empty", where={"line": 1}, hint="begin it with 'homeport: 1'"
            )
        root = self._node(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _bad(after, "a second document begins here; a file holds one")
        return root

    def _node(self, event: Any, depth: int) -> YamlNode:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _bad(event, f"the file has more than {MOST_NODES} values")
        if depth > DEEPEST:
            raise _bad(event, f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _bad(event, f"no finished value before this is named &{event.anchor}")
            return self._anchors[event.anchor]
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            raise _bad(event, f"a tag ({event.tag}) has no meaning here")
        node = self._content(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _content(self, event: Any, depth: int) -> YamlNode:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, not event.style, line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Items(items, line, column)
        entries = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _bad(event, "a key must be text")
            if key.plain and key.text == "<<":
                raise _bad(event, "merge keys (<<) are not read", hint="use extends: for recipes")
            entries.append((key, self._node(next(self._events), depth + 1)))
        return Entries(entries, line, column)


def _bad(event: Any, what: str, hint: str | None = None) -> BadText:
    mark = event.start_mark
    return BadText(what, where={"line": mark.line + 1, "column": mark.column + 1}, hint=hint)
