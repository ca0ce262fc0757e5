"""The content of a file as a list of pieces in order: to prove that an edit changed nothing else.

Two versions of a file are compared piece by piece, each at its place; see
``audit.plan.applying``. A kind without a parser here is compared by its lines.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import yaml

from homeport.audit.source import Source
from homeport.dockerfile.lines import parse_dockerfile

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Piece(msgspec.Struct, frozen=True):
    """A value of the file: its text, how it is written, and its bytes' place."""

    text: str
    style: str
    start: int
    end: int


def skeleton(source: Source, kind: str) -> list[Piece] | None:
    """The pieces of a file, or ``None`` if it does not parse."""
    name = source.name.lower()
    if kind == "helm" and "{{" in source.text and "templates/" in source.path:
        return lines_of(source)
    if kind == "dockerfile":
        return _dockerfile(source)
    if name.endswith((".yaml", ".yml")):
        return _yaml(source)
    if name.endswith(".json"):
        try:
            json.loads(source.text.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return lines_of(source)
        return _yaml(source) or lines_of(source)
    return lines_of(source)


def _yaml(source: Source) -> list[Piece] | None:
    bom = source.text.startswith("\ufeff")
    text = source.text[1:] if bom else source.text
    pieces = []
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent):
                continue
            if event.start_mark is None or event.end_mark is None:
                continue
            start = source.byte(event.start_mark.index + bom)
            end = source.byte(event.end_mark.index + bom)
            value = getattr(event, "value", None)
            kind = type(event).__name__
            style = f"{kind} {getattr(event, 'anchor', None)} {getattr(event, 'tag', None)}"
            if isinstance(event, yaml.ScalarEvent):
                style += f" {event.style}"
            pieces.append(Piece("" if value is None else str(value), style, start, end))
    except (yaml.YAMLError, UnicodeError):
        return None
    return pieces


def _dockerfile(source: Source) -> list[Piece]:
    parsed = parse_dockerfile(source.text)
    pieces = []
    for directive in parsed.directives:
        start, end = source.byte(directive.span.start), source.byte(directive.span.end)
        pieces.append(Piece(directive.value, f"directive {directive.name}", start, end))
    for instruction in parsed.instructions:
        span = instruction.span(0, len(instruction.text))
        start, end = source.byte(span.start), source.byte(span.end)
        pieces.append(Piece(instruction.text, f"instruction {instruction.keyword}", start, end))
        for heredoc in instruction.heredocs:
            start, end = source.byte(heredoc.span.start), source.byte(heredoc.span.end)
            pieces.append(Piece(heredoc.content, f"heredoc {heredoc.name}", start, end))
    return pieces


def lines_of(source: Source) -> list[Piece]:
    """The lines of a file, for what has no parser here."""
    pieces = []
    at = 0
    for line in source.data.splitlines(keepends=True):
        text = line.decode("utf-8", "surrogateescape")
        pieces.append(Piece(text, "line", at, at + len(line)))
        at += len(line)
    return pieces
