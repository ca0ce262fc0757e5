"""YAML as nodes with places, for files that other people wrote for other tools.

Unlike recipes, anything goes here: several documents, anchors, merge keys, custom tags,
keys written twice. Nothing is constructed; a scalar stays its text. Walks are bounded,
because aliases can make a small file endless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec
import yaml

from homeport.audit.reading.collector import Collector
from homeport.audit.source import Quoting, Source, Written
from homeport.budget import Budget

Node: TypeAlias = yaml.Node

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]*(?:\r?\n[ \t]*)?)+")
_QUOTING: dict[str | None, Quoting] = {"'": "single", '"': "double", "|": "block", ">": "block"}

#: What visiting a node (aliases may lead to one many times) and a document cost, in steps.
_VISIT = 20
_DOCUMENT = 2_000
#: Bounds: entries of a map with those merged into it, depth.
MOST_ENTRIES = 200_000
DEEPEST = 60
_KEY = 100  # characters of a key that a path shows


def documents(source: Source, found: Collector, masked: str = "") -> Iterator[Node]:
    """Every document that can be read; the first fault ends it and goes to ``found``.

    masked: the text with blanks in place of what is not to be read
    """
    try:
        source.data.decode("utf-8")
    except UnicodeDecodeError as error:
        found.fault("the file is not UTF-8", source.data.count(b"\n", 0, error.start) + 1)
        return
    whole = source.whole()
    yield from compose(msgspec.structs.replace(whole, text=masked) if masked else whole, found)


def compose(written: Written, found: Collector) -> Iterator[Node]:
    """The documents in a piece of text. Places count from its start."""
    text = written.text
    # The reader drops a byte order mark without counting it.
    text = text[1:] if text.startswith("\ufeff") else text
    try:
        yield from _composed(text, found)
    except _AnchorAgain:
        # YAML 1.2 allows what PyYAML refuses, and CI files do it.
        try:
            yield from _Composer(text).documents(found)
        except yaml.YAMLError as error:
            _fault(written, found, error)
    except (yaml.YAMLError, UnicodeError) as error:
        _fault(written, found, error)
    except RecursionError:
        found.fault("nested too deep")


class _AnchorAgain(Exception):
    """An anchor has a second meaning further down; nothing was yielded yet."""


def _composed(text: str, found: Collector) -> Iterator[Node]:
    loader = None
    yielded: list[Node] = []
    try:
        loader = _LOADER(text)
        while loader.check_node() and found.affords(_DOCUMENT):
            node = loader.get_node()
            if node is not None:
                yielded.append(node)
    except yaml.MarkedYAMLError as error:
        if "duplicate anchor" in str(error):
            raise _AnchorAgain from error
        yield from yielded
        raise
    finally:
        if loader is not None:
            loader.dispose()
    yield from yielded


def _fault(written: Written, found: Collector, error: Exception) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is None:
        found.fault(f"invalid YAML: {' '.join(str(error).split())[:200]}")
        return
    reasons = (getattr(error, "problem", ""), getattr(error, "context", ""))
    line = written.source.line_of(written.start) + mark.line
    found.fault(
        f"invalid YAML: {' '.join(part for part in reasons if part)}", line, mark.column + 1
    )


class _Composer:
    """Nodes from events, where an anchor may be set again and then means the newer value."""

    def __init__(self, text: str) -> None:
        self._events: Any = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, Node] = {}

    def documents(self, found: Collector) -> Iterator[Node]:
        for event in found.each(self._events, _DOCUMENT // 2):
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors = {}
                yield self._node(next(self._events), 0)

    def _node(self, event: Any, depth: int) -> Node:
        if depth > 500:
            raise RecursionError
        marks: tuple[Any, Any] = event.start_mark, event.end_mark
        if isinstance(event, yaml.AliasEvent):
            return self._anchors.get(str(event.anchor)) or yaml.ScalarNode("", "", *marks)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = yaml.ScalarNode(event.tag or "", event.value, *marks, style=event.style)
            self._name(event, node)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = yaml.SequenceNode(event.tag or "", [], *marks, flow_style=event.flow_style)
            self._name(event, node)
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                node.value.append(self._node(inner, depth + 1))
        else:
            node = yaml.MappingNode(event.tag or "", [], *marks, flow_style=event.flow_style)
            self._name(event, node)
            while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
                key = self._node(inner, depth + 1)
                node.value.append((key, self._node(next(self._events), depth + 1)))
        return node

    def _name(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node


def is_map(node: Node | None) -> bool:
    """Whether it is a mapping."""
    return isinstance(node, yaml.MappingNode)


def is_null(node: Node | None) -> bool:
    """Whether it is a scalar that is null: ``key:`` and no more."""
    return isinstance(node, yaml.ScalarNode) and text_of(node) is None


def text_of(node: Node | None) -> str | None:
    """The text of a scalar that is not null."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    if not node.style and node.value in ("", "~", "null", "Null", "NULL"):
        return None
    return str(node.value)


def entries(node: Node | None) -> Iterator[tuple[str, Node]]:
    """Keys and values of a mapping, those merged in with ``<<`` after its own.

    A key that is written twice comes twice. Anything else has no entries.
    """
    yield from _entries(node)


def _entries(node: Node | None) -> list[tuple[str, Node]]:
    """The same, worked out once for each node: merged maps share maps, and may be a loop."""
    if not isinstance(node, yaml.MappingNode):
        return []
    known: list[tuple[str, Node]] | None = node.__dict__.get("entries")
    if known is not None:
        return known
    found: list[tuple[str, Node]] = []
    node.__dict__["entries"] = found
    merges: list[Node] = []
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == "<<" and not key.style:
            merges.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
        else:
            found.append((key.value, value))
    if merges:
        names = {name for name, _ in found}
        for merged in merges[:100]:
            for name, value in list(_entries(merged)):
                if name not in names and len(found) < MOST_ENTRIES:
                    names.add(name)
                    found.append((name, value))
    return found


def get(node: Node | None, *path: str) -> Node | None:
    """The value at a path of keys; of a key written twice the last."""
    for name in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        values: dict[str, Node] | None = node.__dict__.get("by_key")
        if values is None:
            values = node.__dict__["by_key"] = dict(_entries(node))
        node = values.get(name)
    return node


def items(node: Node | None) -> list[Node]:
    """The items of a list; anything else has none."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def written(source: Source, node: Node, base: int = 0) -> Written:
    """A scalar's text and its place, without quotes, anchor and tag.

    ``base``: where the composed text begins in the source.
    """
    shift = base + (1 if base == 0 and source.text.startswith("\ufeff") else 0)
    start, end = node.start_mark.index + shift, node.end_mark.index + shift
    if not isinstance(node, yaml.ScalarNode):
        return Written(text="", source=source, start=start, end=end, exact=False)
    if source.text[start : start + 1] in ("&", "!"):
        properties = _PROPERTIES.match(source.text, start, end)
        start = properties.end() if properties else start
    quoting = _QUOTING.get(node.style, "plain")
    if quoting in ("single", "double"):
        start, end = start + 1, end - 1
    exact = source.text[start:end] == node.value
    return Written(
        text=node.value, source=source, start=start, end=end, exact=exact, quoting=quoting
    )


def whole_scalar(source: Source, node: Node) -> tuple[int, int]:
    """The characters of a scalar with its quotes, without anchor and tag."""
    value = written(source, node)
    quotes = 1 if value.quoting in ("single", "double") else 0
    return value.start - quotes, value.end + quotes


def column_of(source: Source, node: Node) -> int:
    """How many characters precede a node on its line."""
    start = node.start_mark.index + (1 if source.text.startswith("\ufeff") else 0)
    return start - source.text.rfind("\n", 0, start) - 1


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node, Node]]:
    """Every ``(path of keys, value, mapping that holds it)`` below ``node``, bounded."""
    stack: list[tuple[str, Node, int]] = [(path, node, 0)]
    budget = Budget("the file")
    while stack:
        path, node, depth = stack.pop()
        budget.steps(_VISIT)
        if depth > DEEPEST:
            continue
        children: list[tuple[str, Node]]
        if isinstance(node, yaml.MappingNode):
            children = [(f"{path}.{k[:_KEY]}" if path else k[:_KEY], v) for k, v in entries(node)]
            for child_path, value in children:
                yield child_path, value, node
        elif isinstance(node, yaml.SequenceNode):
            children = [(f"{path}[{n}]", v) for n, v in enumerate(node.value)]
        else:
            continue
        stack.extend((p, v, depth + 1) for p, v in reversed(children))
