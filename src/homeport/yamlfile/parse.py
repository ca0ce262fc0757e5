"""YAML text of Homeport's own formats → nodes with positions, without YAML's implicit types.

A scalar stays the text that was written, with whether it was quoted: the field decides what
it means (``yamlfile.shapes``, ``yamlfile.typed``), so that ``no``, ``1.10`` and ``0644`` are
text where text is expected. Tags, merge keys, several documents and keys that are not text
are errors; aliases are kept, and the reader bounds what they expand to. Files of other tools
that Homeport builds or checks (Blubber, docker-pkg) are read as strictly, with merge keys where
their tool has them; ``audit.formats.yaml`` reads what is only looked through leniently.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from homeport.errors import UsageError
from homeport.quantities import human_size

#: Bounds on one file: bytes, nodes, nesting.
LARGEST = 1 << 20
MOST_NODES = 50_000
#: In what the parser says where a tab stands in the indentation, or before a value.
_TAB = "tab"
DEEPEST = 32

# libyaml if PyYAML was built with it; otherwise the slower parser of the same language.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadYaml(UsageError):
    """A YAML file of Homeport is not usable; file, line, column and field are in ``where``.

    Each format has a subclass with its own id.
    """

    id = "yaml"


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


def parse_yaml(
    data: bytes,
    file: str,
    error: type[BadYaml] = BadYaml,
    *,
    largest: int = LARGEST,
    most_nodes: int = MOST_NODES,
    merge_keys: bool = False,
    expanded: bool = False,
) -> YamlNode:
    """Read the one document of a file. Raises ``error`` at its first syntax fault.

    ``merge_keys``: ``<<`` takes the entries of another mapping, or of several (the first that
    has a key counts), which the mapping itself does not have (yaml.org/type/merge.html).
    ``expanded``: an alias counts as the values that it stands for; ``Reader`` counts them itself.
    """
    try:
        return _parse(data, largest, most_nodes, merge_keys, expanded)
    except BadYaml as found:
        raise error(found.what, where={"file": file, **found.where}, hint=found.hint) from (
            found.__cause__
        )


def _parse(
    data: bytes, largest: int, most_nodes: int, merge_keys: bool, expanded: bool
) -> YamlNode:
    if len(data) > largest:
        raise BadYaml(f"the file is larger than {human_size(largest)}")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadYaml("the file is not UTF-8", where={"line": line}) from error
    try:
        return _Composer(
            yaml.parse(text, Loader=_LOADER), most_nodes, merge_keys, expanded
        ).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        if _TAB in (error.problem or ""):
            raise BadYaml(
                "a tab where YAML requires spaces", where=place, hint="indent with spaces"
            ) from error
        what = " ".join(str(part) for part in (error.problem, error.context) if part)
        raise BadYaml(f"invalid YAML: {what}", where=place) from error
    except yaml.YAMLError as error:
        raise BadYaml(f"invalid YAML: {' '.join(str(error).split())}") from error


class _Composer:
    """Makes nodes of events, one at a time, so that no bound is passed unnoticed."""

    def __init__(
        self, events: Iterator[Any], most_nodes: int, merge_keys: bool, expanded: bool
    ) -> None:
        self._events = events
        self._most_nodes = most_nodes
        self._merge_keys = merge_keys
        self._expanded = expanded
        #: A value by its anchor, and how many values it has when all its aliases are followed.
        self._anchors: dict[str, tuple[YamlNode, int]] = {}
        self._nodes = 0

    def document(self) -> YamlNode:
        next(self._events)  # start of the stream
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            raise BadYaml("the file is empty", where={"line": 1})
        root = self._node(next(self._events), 0)
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _bad(after, "unexpected second document; a file contains one")
        return root

    def _node(self, event: Any, depth: int) -> YamlNode:
        self._count(event, 1)
        if depth > DEEPEST:
            raise _bad(event, f"nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _bad(event, f"no earlier value has the anchor &{event.anchor}")
            node, nodes = self._anchors[event.anchor]
            # Ten lines of aliases to aliases expand to millions of values.
            self._count(event, nodes if self._expanded else 0)
            return node
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            raise _bad(event, f"unexpected tag {event.tag}")
        before = self._nodes
        node = self._content(event, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node, self._nodes - before + 1
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
        merged = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar):
                raise _bad(event, "a key must be text")
            value = self._node(next(self._events), depth + 1)
            if key.plain and key.text == "<<":
                merged += self._merged(event, value)
            else:
                entries.append((key, value))
        if merged:
            first = {key.text: (key, value) for key, value in reversed(merged)}
            own = {key.text for key, _ in entries}
            entries += [first[name] for name in reversed(first) if name not in own]
        return Entries(entries, line, column)

    def _merged(self, event: Any, value: YamlNode) -> list[tuple[Scalar, YamlNode]]:
        if not self._merge_keys:
            raise _bad(event, "merge keys (<<) are not supported")
        found = []
        for each in value.items if isinstance(value, Items) else [value]:
            if not isinstance(each, Entries):
                raise _bad(event, "a merge key (<<) takes a mapping or a list of mappings")
            self._count(event, len(each.entries))
            found += each.entries
        return found

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > self._most_nodes:
            raise _bad(event, f"the file has more than {self._most_nodes} values")


def _bad(event: Any, what: str, hint: str | None = None) -> BadYaml:
    mark = event.start_mark
    return BadYaml(what, where={"line": mark.line + 1, "column": mark.column + 1}, hint=hint)
