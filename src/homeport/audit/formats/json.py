"""JSON as nodes with places; comments and trailing commas are allowed, as editors do."""

from __future__ import annotations

import json
import re

import yaml

from homeport.audit.formats.nodes import (
    DEEPEST,
    Unparsable,
    mapping,
    report_fault,
    scalar,
    sequence,
)
from homeport.audit.reading.collector import Collector
from homeport.audit.source import Source

_GAP = re.compile(r"(?:[\s\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"[-+\w.]+")


def document(source: Source, found: Collector) -> yaml.Node | None:
    """The document of a file; a fault goes to ``found``."""
    try:
        return parse_json(source.text)
    except Unparsable as error:
        report_fault(source, found, "JSON", error)
        return None


def parse_json(text: str) -> yaml.Node:
    """Read a document. Raises ``Unparsable``."""
    parser = _Parser(text)
    node = parser.value(0)
    parser.gap()
    if parser.at < len(text):
        raise Unparsable("something follows the document", parser.at)
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def gap(self) -> str:
        """Skip blanks and comments; the next character."""
        match = _GAP.match(self._text, self.at)
        self.at = match.end() if match else self.at
        return self._text[self.at : self.at + 1]

    def value(self, depth: int) -> yaml.Node:
        if depth > DEEPEST:
            raise Unparsable(f"nested more than {DEEPEST} deep", self.at)
        match self.gap():
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                return self._string()
        literal = _LITERAL.match(self._text, self.at)
        if literal is None:
            raise Unparsable("a value is missing", self.at)
        self.at = literal.end()
        return scalar(literal.group(), literal.start(), literal.end())

    def _string(self) -> yaml.ScalarNode:
        match = _STRING.match(self._text, self.at)
        if match is None:
            raise Unparsable("unterminated string", self.at)
        self.at = match.end()
        try:
            value = json.loads(match.group(), strict=False)
        except ValueError as error:
            raise Unparsable("a string has a bad escape", match.start()) from error
        return scalar(value, match.start(), match.end(), '"')

    def _object(self, depth: int) -> yaml.MappingNode:
        start = self.at
        self.at += 1
        entries: list[tuple[yaml.Node, yaml.Node]] = []
        while self.gap() != "}":
            if self.gap() != '"':
                raise Unparsable("a key is missing", self.at)
            key = self._string()
            if self.gap() != ":":
                raise Unparsable("':' is missing", self.at)
            self.at += 1
            entries.append((key, self.value(depth + 1)))
            self._comma("}")
        self.at += 1
        return mapping(entries, start, self.at)

    def _array(self, depth: int) -> yaml.SequenceNode:
        start = self.at
        self.at += 1
        items: list[yaml.Node] = []
        while self.gap() != "]":
            items.append(self.value(depth + 1))
            self._comma("]")
        self.at += 1
        return sequence(items, start, self.at)

    def _comma(self, end: str) -> None:
        char = self.gap()
        if char == ",":
            self.at += 1
        elif char != end:
            raise Unparsable(f"',' or '{end}' is missing", self.at)
