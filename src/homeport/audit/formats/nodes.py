"""Nodes for formats other than YAML, so that one set of readers serves them all.

JSON, HCL and TOML become the nodes that PyYAML makes of YAML: the same walking, the same
places. Parsers here stay lenient where the tools' own are; a fault names line and column.
"""

from __future__ import annotations

import msgspec
import yaml

from homeport.audit.reading.collector import Collector
from homeport.audit.source import Source

#: How deep documents may nest.
DEEPEST = 100


class Unparsable(Exception):
    """Text that is not of its format; ``at`` is the character."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.what = what
        self.at = at


class _Mark(msgspec.Struct, frozen=True):
    """What readers need of PyYAML's marks."""

    index: int
    line: int = 0
    column: int = 0


def scalar(value: str, start: int, end: int, style: str = "") -> yaml.ScalarNode:
    """A value; ``style`` is its quote, ``|`` for several lines, ``expr`` for code."""
    tag = "tag:yaml.org,2002:str"
    return yaml.ScalarNode(tag, value, _Mark(start), _Mark(end), style)  # type: ignore[arg-type]  # marks by shape


def mapping(entries: list[tuple[yaml.Node, yaml.Node]], start: int, end: int) -> yaml.MappingNode:
    """A map in its written order."""
    tag = "tag:yaml.org,2002:map"
    return yaml.MappingNode(tag, entries, _Mark(start), _Mark(end), True)  # type: ignore[arg-type]  # marks by shape


def sequence(items: list[yaml.Node], start: int, end: int) -> yaml.SequenceNode:
    """A list."""
    tag = "tag:yaml.org,2002:seq"
    return yaml.SequenceNode(tag, items, _Mark(start), _Mark(end), True)  # type: ignore[arg-type]  # marks by shape


def report_fault(source: Source, found: Collector, format: str, error: Unparsable) -> None:
    """Say where a document stops being one."""
    place = source.place(min(error.at, len(source.text)), min(error.at, len(source.text)))
    found.fault(f"not {format}: {error.what}", place.line, place.column)
