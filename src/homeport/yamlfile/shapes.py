"""Declarations of what lists and mappings of a YAML file may contain: they read and describe it.

    ListOf, MapOf, Fields      of other shapes, or of single values (``yamlfile.scalars``)
    Short, Kinds               fields with a short form; one of several sets of fields

The same declaration reads a file and gives its part of the JSON Schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from homeport.yamlfile.parse import Entries, Items, Scalar, YamlNode
from homeport.yamlfile.position import FilePosition
from homeport.yamlfile.scalars import BAD, Reader, Shape, Text, kind


class FieldValues(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a mapping as read, with the position of each."""

    values: Mapping[str, Any]
    positions: Mapping[str, FilePosition]
    place: FilePosition

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    def at(self, name: str) -> FilePosition:
        """The field's position, or that of the mapping, if the field is absent."""
        return self.positions.get(name, self.place)


class ListOf(msgspec.Struct, frozen=True, kw_only=True):
    """A list; items with faults are left out of the value."""

    item: Shape
    what: str = "a list"
    example: str = ""

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Items):
            hint = f"write it like {self.example}" if self.example else None
            return reader.fault(node, field, f"expected {self.what}, found {kind(node)}", hint)
        read = [
            self.item.read(item, f"{field}[{at}]", reader) for at, item in enumerate(node.items)
        ]
        return tuple(value for value in read if value is not BAD)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema()}


class MapOf(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping with free keys; entries with faults are left out of the value."""

    key: Text
    value: Shape
    what: str = "a mapping"

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {kind(node)}")
        found: dict[Any, Any] = {}
        for key, value in distinct(node, field, reader):
            inside = f"{field}.{key.text}"
            name = self.key.read(key, inside, reader)
            read = self.value.read(value, inside, reader)
            if name is not BAD and name in found:
                reader.fault(
                    key, inside, f"duplicate key {key.text}: another spelling of an earlier key"
                )
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


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field of ``Fields``."""

    shape: Shape
    about: str
    required: bool = False


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping with known keys, read to ``FieldValues``.

    tolerant: with faults inside, the good fields are still read (of a whole file)
    """

    fields: Mapping[str, Field]
    what: str
    tolerant: bool = False

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {kind(node)}")
        values: dict[str, Any] = {}
        positions: dict[str, FilePosition] = {}
        good = True
        for key, value in distinct(node, field, reader):
            inside = f"{field}.{key.text}" if field else key.text
            known = self.fields.get(key.text)
            if known is None:
                reader.fault(
                    key, inside, f"unknown field {key.text!r} of {self.what}", self._near(key.text)
                )
                good = False
                continue
            read = known.shape.read(value, inside, reader)
            positions[key.text] = reader.position(value, inside)
            if read is BAD:
                good = False
            else:
                values[key.text] = read
        for name, known in self.fields.items():
            if known.required and name not in positions:
                reader.fault(node, field, f"{self.what} needs the field {name!r}")
                good = False
        if not good and not self.tolerant:
            return BAD
        return FieldValues(values=values, positions=positions, place=reader.position(node, field))

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
        return f"did you mean {near[0]}?" if near else "known fields: " + ", ".join(self.fields)


class Short(msgspec.Struct, frozen=True, kw_only=True):
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
        place = reader.position(node, field)
        values = value if isinstance(value, dict) else {self.field: value}
        return FieldValues(values=values, positions=dict.fromkeys(values, place), place=place)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.text.schema(), self.fields.schema()]}


class Kinds(msgspec.Struct, frozen=True, kw_only=True):
    """One of several sets of fields, told apart by the one key that only it has."""

    kinds: Mapping[str, Fields]
    what: str

    def read(self, node: YamlNode, field: str, reader: Reader) -> Any:
        reader.count(node, field)
        if not isinstance(node, Entries):
            return reader.fault(node, field, f"expected {self.what}, found {kind(node)}")
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


def distinct(node: Entries, field: str, reader: Reader) -> list[tuple[Scalar, YamlNode]]:
    """The entries of a mapping; a second entry with a name is a fault and left out."""
    seen: dict[str, Scalar] = {}
    entries = []
    for key, value in node.entries:
        first = seen.setdefault(key.text, key)
        if first is key:
            entries.append((key, value))
        else:
            inside = f"{field}.{key.text}" if field else key.text
            reader.fault(key, inside, f"duplicate key {key.text!r}, first in line {first.line}")
    return entries
