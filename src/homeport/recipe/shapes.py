"""Declarations of what a YAML file may hold: they read it, and they describe it.

A shape reads a node to a value, or puts what is wrong on the reader's list and answers
``BAD``; what contains a bad value goes on, so that all faults of a file are found in one
pass. The same shape gives its part of the JSON Schema (``recipe.schema``).

    Text, Number, Flag,
    Constant                   one value, exactly as written
    ListOf, MapOf, Fields      of other shapes
    Short, Kinds               a value with a short form; one of several sets of fields
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from homeport.errors import HomeportError
from homeport.recipe.model import Place
from homeport.recipe.yamltext import BadText, Entries, Items, Scalar, YamlNode

#: What is read in place of a value with a fault.
BAD: Final = object()

#: Values read from one file, aliases expanded.
MOST_VALUES = 100_000

_NOTHING = ("", "~", "null", "Null", "NULL")


class Reader:
    """The file being read and the faults found so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[HomeportError] = []
        self._values = 0

    def place(self, node: YamlNode, field: str) -> Place:
        return Place(file=self.file, line=node.line, column=node.column, field=field)

    def count(self, node: YamlNode, field: str) -> None:
        """Aliases make a small text large: the bound is on what is read, not on what is written."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise BadText(
                f"more than {MOST_VALUES} values, aliases expanded",
                where=self.place(node, field).where(),
            )

    def fault(self, node: YamlNode, field: str, what: str, hint: str | None = None) -> object:
        """Note a fault; the answer is ``BAD``."""
        self.faults.append(BadText(what, where=self.place(node, field).where(), hint=hint))
        return BAD


class Shape(Protocol):
    """What a value may be."""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        """The value, or ``BAD`` after noting why."""

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A set of fields as read, with the places of each."""

    values: Mapping[str, Any]
    places: Mapping[str, Place]
    place: Place

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def at(self, name: str) -> Place:
        """Where the field stands, or the whole, if it is absent."""
        return self.places.get(name, self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Text, taken as written: ``yes``, ``1.10`` and ``0644`` are what they look like.

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
            return f"expected {self.what}, found {_kind(node)}"
        if (node.plain and node.text in _NOTHING) or not (node.text or self.empty):
            return f"expected {self.what}, found nothing"
        if len(node.text) > self.longest:
            return f"longer than {self.longest} characters"
        if "\0" in node.text:
            return "text cannot hold NUL"
        if self.pattern and not re.fullmatch(self.pattern, node.text):
            return f"{node.text!r} is not {self.what}"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A decimal number without sign."""

    what: str = "a number"
    most: int = (1 << 32) - 2

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar):
            return reader.fault(node, field, f"expected {self.what}, found {_kind(node)}")
        if not re.fullmatch(r"0|[1-9][0-9]{0,18}", node.text) or int(node.text) > self.most:
            return reader.fault(
                node, field, f"{node.text!r} is not {self.what} from 0 to {self.most}"
            )
        return int(node.text)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 0, "maximum": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number and no other: the version of a format."""

    value: int
    what: str

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar) or node.text != str(self.value):
            found = repr(node.text) if isinstance(node, Scalar) else _kind(node)
            return reader.fault(
                node,
                field,
                f"{self.what} {found} is not known, only {self.value}",
                "a newer Homeport may read it",
            )
        return self.value

    def schema(self) -> dict[str, Any]:
        return {"const": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """``true`` or ``false``, and none of YAML's other words for them."""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Scalar) or node.text not in ("true", "false") or not node.plain:
            found = repr(node.text) if isinstance(node, Scalar) else _kind(node)
            return reader.fault(node, field, f"expected true or false, found {found}")
        return node.text == "true"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list; items with faults are left out of the value."""

    item: Shape
    what: str = "a list"
    example: str = ""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Items):
            hint = f"write it like {self.example}" if self.example else None
            return reader.fault(node, field, f"expected {self.what}, found {_kind(node)}", hint)
        read = [
            self.item.read(item, f"{field}[{at}]", reader) for at, item in enumerate(node.items)
        ]
        return tuple(value for value in read if value is not BAD)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    """A mapping with free keys; entries with faults are left out of the value."""

    key: Text
    value: Shape
    what: str = "a mapping"

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {_kind(node)}")
        found: dict[Any, Any] = {}
        for key, value in _distinct(node, field, reader):
            inside = f"{field}.{key.text}"
            name = self.key.read(key, inside, reader)
            read = self.value.read(value, inside, reader)
            if name is not BAD and name in found:
                reader.fault(key, inside, f"{key.text} is another spelling of a key before it")
            elif name is not BAD and read is not BAD:
                found[name] = read
        return found

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "additionalProperties": self.value.schema(),
        }
        if self.key.pattern:
            schema["propertyNames"] = {"pattern": f"^(?:{self.key.pattern})$"}
        return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of ``Fields``."""

    shape: Shape
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A mapping with known keys, read to a ``Part``.

    tolerant: with faults inside it is still a ``Part`` of what was good (of a whole file)
    """

    fields: Mapping[str, Field]
    what: str
    tolerant: bool = False

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {_kind(node)}")
        values: dict[str, Any] = {}
        places: dict[str, Place] = {}
        good = True
        for key, value in _distinct(node, field, reader):
            inside = f"{field}.{key.text}" if field else key.text
            known = self.fields.get(key.text)
            if known is None:
                reader.fault(
                    key, inside, f"{self.what} has no field {key.text!r}", self._near(key.text)
                )
                good = False
                continue
            read = known.shape.read(value, inside, reader)
            places[key.text] = reader.place(value, inside)
            if read is BAD:
                good = False
            else:
                values[key.text] = read
        for name, known in self.fields.items():
            if known.required and name not in places:
                reader.fault(node, field, f"{self.what} needs the field {name!r}")
                good = False
        if not good and not self.tolerant:
            return BAD
        return Part(values=values, places=places, place=reader.place(node, field))

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                name: {"description": known.about, **known.shape.schema()}
                for name, known in self.fields.items()
            },
        }
        required = [name for name, known in self.fields.items() if known.required]
        if required:
            schema["required"] = required
        return schema

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.fields, n=1)
        return f"did you mean {near[0]}?" if near else "known are " + ", ".join(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """Fields with a short form: a text that is read as the value of one field."""

    fields: Fields
    text: Text
    field: str

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        if isinstance(node, Entries):
            return self.fields.read(node, field, reader)
        value = self.text.read(node, field, reader)
        if value is BAD:
            return BAD
        place = reader.place(node, field)
        values = value if isinstance(value, dict) else {self.field: value}
        return Part(values=values, places=dict.fromkeys(values, place), place=place)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.text.schema(), self.fields.schema()]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """One of several sets of fields, told apart by the one key that only it has."""

    kinds: Mapping[str, Fields]
    what: str

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {_kind(node)}")
        named = [key.text for key, _ in node.entries if key.text in self.kinds]
        if len(set(named)) != 1:
            found = " and ".join(named) or "none"
            choice = ", ".join(self.kinds)
            return reader.fault(
                node, field, f"{self.what} needs exactly one of {choice}; it has {found}"
            )
        return self.kinds[named[0]].read(node, field, reader)

    def schema(self) -> dict[str, Any]:
        return {"oneOf": [fields.schema() for fields in self.kinds.values()]}


def _distinct(node: Entries, field: str, reader: Reader) -> list[tuple[Scalar, YamlNode]]:
    """The entries of a mapping without second ones of a name, which are faults."""
    seen: dict[str, Scalar] = {}
    entries = []
    for key, value in node.entries:
        first = seen.setdefault(key.text, key)
        if first is key:
            entries.append((key, value))
        else:
            inside = f"{field}.{key.text}" if field else key.text
            reader.fault(key, inside, f"{key.text} stands here twice, first in line {first.line}")
    return entries


def _kind(node: YamlNode) -> str:
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Entries):
        return "a mapping"
    return "nothing" if node.plain and node.text in _NOTHING else f"the text {node.text[:40]!r}"
