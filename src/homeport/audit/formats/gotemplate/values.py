"""Values of Go templates in charts: pieces of text, each with the value that it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from homeport.audit.source import Written

#: The name of the chart's whole context, ``.`` or ``$``.
ROOT = "."
#: The context inside a range, or a ``with`` that is not known.
UNKNOWN = "?"


class Piece(msgspec.Struct, frozen=True):
    """A part of a value.

    name:   the value of the chart that it is, ``""`` for text of the template
    whole:  a value by itself, not text between values
    fields: what a ``dict`` holds by its keys, and a ``list`` by its numbers
    is_map: a map of the chart's values, which is true though it has no text
    """

    text: str
    name: str = ""
    written: Written | None = None
    whole: bool = False
    fields: Mapping[str, Any] | None = None
    is_map: bool = False


Value = tuple[Piece, ...]
#: What a path means: ``.Values.image.tag``, or ``None`` where it has no value.
Lookup = Callable[[str], Value | None]


class NotSimple(Exception):
    """The expression uses what is not supported here; the text names it."""


def is_true(value: Value) -> bool:
    return text_of(value) not in ("", "false", "0", "nil") or any(
        piece.is_map or piece.fields or piece.name == ROOT for piece in value
    )


def text_of(value: Value) -> str:
    return "".join(piece.text for piece in value)


def name_of(value: Value) -> str:
    """The value of the chart that it is, if it is one."""
    return value[0].name if len(value) == 1 else ""


def missing(value: Value) -> str:
    """The first value of the chart that a part needs and that is not there."""
    return next((piece.name for piece in value if not piece.text and piece.name), "")
