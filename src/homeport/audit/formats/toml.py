"""TOML as nodes with places: settings of engines and runners.

``tomllib`` decides whether a file is valid TOML; the places come from a scanner of tables, keys and
strings, which is enough for settings that are strings and lists of strings.
"""

from __future__ import annotations

import re
import tomllib

import yaml

from homeport.audit.formats.nodes import Unparsable, mapping, report_fault, scalar, sequence
from homeport.audit.reading.collector import Collector
from homeport.audit.source import Source

_GAP = re.compile(r"(?:[ \t\r\n\ufeff]|#[^\n]*)*")
_KEY = re.compile(r"\s*(?:\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_-]+))\s*")
_STRING = re.compile(
    r'"""(.*?)"""|\'\'\'(.*?)\'\'\'|"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\'', re.DOTALL
)
_OTHER = re.compile(r"[^,\]}#\n]+")
_DEPTH = 50

Entries = list[tuple[yaml.Node, yaml.Node]]


def document(source: Source, found: Collector) -> yaml.Node | None:
    """The document of a file; a fault goes to ``found``."""
    try:
        tomllib.loads(source.text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        found.fault(f"not TOML: {str(error).partition(' (')[0].lower()}",
                    int(line.group(1)) if line else 0)  # fmt: skip
        return None
    try:
        return _Parser(source.text).document()
    except Unparsable as error:
        report_fault(source, found, "TOML as read here", error)
        return None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> yaml.MappingNode:
        top: Entries = []
        current = top
        while (char := self._gap()) != "":
            if char == "[":
                brackets = 2 if self._text.startswith("[[", self._at) else 1
                self._at += brackets
                path = self._path("]")
                self._at += brackets
                current = _open(top, path, array=brackets == 2)
            else:
                self._pair(current)
        return mapping(top, 0, len(self._text))

    def _pair(self, into: Entries) -> None:
        path = self._path("=")
        self._at += 1
        value = self._value(0)
        for key in reversed(path[1:]):
            value = mapping([(key, value)], key.start_mark.index, self._at)
        into.append((path[0], value))

    def _path(self, end: str) -> list[yaml.ScalarNode]:
        keys = []
        while True:
            match = _KEY.match(self._text, self._at)
            if match is None:
                raise Unparsable("a key is missing", self._at)
            text = next(group for group in match.groups() if group is not None)
            keys.append(scalar(text, match.start(), match.end()))
            self._at = match.end()
            if self._text[self._at : self._at + 1] == end:
                return keys
            if self._text[self._at : self._at + 1] != ".":
                raise Unparsable(f"'{end}' is missing", self._at)
            self._at += 1

    def _value(self, depth: int) -> yaml.Node:
        if depth > _DEPTH:
            raise Unparsable("nested too deep", self._at)
        char = self._gap()
        if char == "[":
            return self._array(depth)
        if char == "{":
            return self._inline(depth)
        match = _STRING.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
            index = next(n for n, group in enumerate(match.groups()) if group is not None)
            text = match.group(index + 1)
            style = ("|", "|", '"', "'")[index]
            return scalar(text, match.start(), match.end(), style)
        other = _OTHER.match(self._text, self._at)
        if other is None:
            raise Unparsable("a value is missing", self._at)
        self._at = other.end()
        text = other.group().rstrip()
        return scalar(text, other.start(), other.start() + len(text))

    def _array(self, depth: int) -> yaml.SequenceNode:
        start = self._at
        self._at += 1
        items: list[yaml.Node] = []
        while self._gap() != "]":
            items.append(self._value(depth + 1))
            if self._gap() == ",":
                self._at += 1
            elif self._gap() != "]":
                raise Unparsable("']' is missing", self._at)
        self._at += 1
        return sequence(items, start, self._at)

    def _inline(self, depth: int) -> yaml.MappingNode:
        start = self._at
        self._at += 1
        entries: Entries = []
        while self._gap() != "}":
            if depth > _DEPTH:
                raise Unparsable("nested too deep", self._at)
            path = self._path("=")
            self._at += 1
            value = self._value(depth + 1)
            for key in reversed(path[1:]):
                value = mapping([(key, value)], key.start_mark.index, self._at)
            entries.append((path[0], value))
            if self._gap() == ",":
                self._at += 1
            elif self._gap() != "}":
                raise Unparsable("'}' is missing", self._at)
        self._at += 1
        return mapping(entries, start, self._at)

    def _gap(self) -> str:
        match = _GAP.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]


def _open(top: Entries, path: list[yaml.ScalarNode], *, array: bool) -> Entries:
    """The entries of the table that a header names, made where missing."""
    current = top
    for number, key in enumerate(path):
        last = number == len(path) - 1
        known = next((v for k, v in reversed(current) if k.value == key.value), None)
        if isinstance(known, yaml.SequenceNode) and not (last and array):
            known = known.value[-1] if known.value else None
        if last and array:
            table = mapping([], key.start_mark.index, key.end_mark.index)
            if isinstance(known, yaml.SequenceNode):
                known.value.append(table)
            else:
                items: list[yaml.Node] = [table]
                node = sequence(items, key.start_mark.index, key.end_mark.index)
                current.append((key, node))
            entries: Entries = table.value
            return entries
        if not isinstance(known, yaml.MappingNode):
            known = mapping([], key.start_mark.index, key.end_mark.index)
            current.append((key, known))
        current = known.value
    return current
