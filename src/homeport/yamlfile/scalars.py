"""Single values of a YAML file: what they may be, how they are read, and their schema.

A value is taken exactly as it was written. A fault goes on the reader's list, and the value
is ``BAD``; whatever contains it reads on, so that one pass finds all faults of a file. Lists
and mappings are ``yamlfile.shapes``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from homeport.errors import HomeportError
from homeport.yamlfile.parse import BadYaml, Entries, Items, Scalar, YamlNode
from homeport.yamlfile.position import FilePosition

#: What is read in place of a value with a fault.
BAD: Final = object()

#: Values read from one file, with aliases expanded.
MOST_VALUES = 100_000

_NOTHING = ("", "~", "null", "Null", "NULL")


class Reader:
    """The file being read and the faults found so far."""

    def __init__(
        self, file: str, error: type[BadYaml] = BadYaml, most_values: int = MOST_VALUES
    ) -> None:
        self.file = file
        self.error = error
        self._most_values = most_values
        self.faults: list[HomeportError] = []
        self._values = 0

    def position(self, node: YamlNode, field: str) -> FilePosition:
        return FilePosition(file=self.file, line=node.line, column=node.column, field=field)

    def count(self, node: YamlNode, field: str) -> None:
        """Aliases make a small text large: the bound is on what is read, not on what is written."""
        self._values += 1
        if self._values > self._most_values:
            raise self.error(
                f"more than {self._most_values} values, aliases expanded",
                where=self.position(node, field).where(),
            )

    def fault(self, node: YamlNode, field: str, what: str, hint: str | None = None) -> object:
        """Note a fault and return ``BAD``."""
        self.faults.append(self.error(what, where=self.position(node, field).where(), hint=hint))
        return BAD


class Shape(Protocol):
    """What a value may be."""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        """The value, or ``BAD`` after noting why."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the value."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Text, taken as written: ``yes``, ``1.10`` and ``0644`` stay text.

    convert: makes the value of the text; a ``HomeportError`` that it raises is a fault
    """

    what: str = "text"
    pattern: str = ""
    convert: Callable[[str], Any] | None = None
    example: str = ""
    longest: int = 4096
    empty: bool = False

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        wrong = self._wrong(node)
        if wrong or not isinstance(node, Scalar):
            return reader.fault(node, field, wrong or "", self._hint())
        if self.convert is None:
            return node.text
        try:
            return self.convert(node.text)
        except HomeportError as error:
            return reader.fault(node, field, error.what, error.hint or self._hint())

    def _wrong(self, node: YamlNode) -> str | None:
        if not isinstance(node, Scalar):
            return f"expected {self.what}, found {kind(node)}"
        if (node.plain and node.text in _NOTHING) or not (node.text or self.empty):
            return f"expected {self.what}, found nothing"
        if len(node.text) > self.longest:
            return f"longer than {self.longest} characters"
        if "\0" in node.text:
            return "the string contains a NUL character"
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            return f"invalid value {node.text!r}: expected {self.what}"
        return None

    def schema(self) -> dict[str, Any]:
        # Without a pattern any text does, also one that editors take for a number.
        schema: dict[str, Any] = {"type": ["string", "number", "boolean"]}
        if self.pattern or self.convert:
            schema["type"] = "string"
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        if self.example:
            schema["examples"] = [self.example]
        return schema

    def _hint(self) -> str | None:
        return f"write it like {self.example}" if self.example else None


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A decimal number without sign."""

    what: str = "a number"
    most: int = (1 << 32) - 2

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar):
            return reader.fault(node, field, f"expected {self.what}, found {kind(node)}")
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", node.text) or int(node.text) > self.most:
            return reader.fault(
                node,
                field,
                f"invalid value {node.text!r}: expected {self.what} from 0 to {self.most}",
            )
        return int(node.text)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": self.most}


class Constant(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one number: the version of a format."""

    value: int
    what: str

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar) or node.text != str(self.value):
            found = repr(node.text) if isinstance(node, Scalar) else kind(node)
            return reader.fault(
                node,
                field,
                f"unknown {self.what} {found}; this Homeport reads {self.value}",
                "a newer Homeport may read it",
            )
        return self.value

    def schema(self) -> dict[str, Any]:
        return {"const": self.value}


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """``true`` or ``false``, and none of YAML's other words for them."""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar) or node.text not in ("true", "false") or not node.plain:
            found = repr(node.text) if isinstance(node, Scalar) else kind(node)
            return reader.fault(node, field, f"expected true or false, found {found}")
        return node.text == "true"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


def kind(node: YamlNode) -> str:
    """What a node is, for messages."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Entries):
        return "a mapping"
    return "nothing" if node.plain and node.text in _NOTHING else f"the string {node.text[:40]!r}"
