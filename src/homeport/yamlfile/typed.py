"""A YAML file of Homeport read as a msgspec type, with all its faults at once.

The type decides what a scalar means: a field of type ``str`` takes the text as written
(``1.10`` and ``no`` stay text), ``int`` decimal digits, ``bool`` ``true`` or ``false``
without quotes, and a type with ``None`` an empty value or ``null``. Unknown fields, wrong
types and duplicate keys are faults with line and field.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Generic, NoReturn, TypeVar

from msgspec import inspect

from homeport.errors import Faults, HomeportError
from homeport.yamlfile.parse import BadYaml, Entries, Items, Scalar, YamlNode, parse_yaml
from homeport.yamlfile.scalars import BAD, Reader, kind
from homeport.yamlfile.shapes import distinct

T = TypeVar("T")

#: Bounds on one file: bytes, and values with aliases expanded.
LARGEST = 16 << 20
MOST_VALUES = 1_000_000

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NULL = ("", "~", "null")


class TypedFile(Generic[T]):
    """What a file says, with its position by field for the checks that follow."""

    def __init__(self, value: T, root: YamlNode, reader: Reader) -> None:
        self.value = value
        self._root = root
        self._reader = reader

    def fault(self, field: Sequence[str | int], what: str, hint: str | None = None) -> None:
        """Note a fault of the value at a path of keys and indices."""
        node, written = self._root, ""
        for name in field:
            node = _below(node, name) or node
            written += f"[{name}]" if isinstance(name, int) else f".{name}" if written else name
        self._reader.fault(node, written, what, hint)

    def check(self) -> T:
        """The value. Raises the faults noted so far."""
        _raise(self._reader.faults, self._reader.file)
        return self.value


def read_typed(data: bytes, file: str, type: type[T], error: type[BadYaml]) -> TypedFile[T]:
    """Read one document as ``type``.

    Raises ``error``, or ``Faults`` of several.
    """
    root = parse_yaml(data, file, error, largest=LARGEST, most_nodes=MOST_VALUES)
    reader = Reader(file, error, MOST_VALUES)
    described: Any = type
    value = _read(root, _description(described), "", reader)
    if value is BAD:
        _raise(reader.faults, file)
    return TypedFile(value, root, reader)


def _raise(faults: Sequence[HomeportError], file: str) -> None:
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise Faults(faults, what=f"{len(faults)} faults in {file}")


@cache
def _description(type: Any) -> inspect.Type:
    return inspect.type_info(type)  # 2 ms, and audit reads 26 files of one type


def _read(node: YamlNode, type: inspect.Type, field: str, reader: Reader) -> Any:
    """The value, or ``BAD`` after noting why."""
    match type:
        case inspect.UnionType():
            return _read(node, _choose(type, node), field, reader)
        case inspect.StructType():
            return _read_struct(node, type, field, reader)
        case inspect.DictType():
            return _read_mapping(node, type, field, reader)
        case inspect.VarTupleType() | inspect.ListType():
            return _read_items(node, type.item_type, field, reader)
        case _:
            return _read_scalar(node, type, field, reader)


def _choose(type: inspect.UnionType, node: YamlNode) -> inspect.Type:
    """The member of a union that fits the kind of node; for a scalar the first that reads it."""
    if isinstance(node, Scalar) and type.includes_none and node.plain and node.text in _NULL:
        return inspect.NoneType()
    members = [each for each in type.types if not isinstance(each, inspect.NoneType)]
    fitting = [each for each in members if isinstance(node, _node_of(each))]
    return (fitting or members)[0]


def _node_of(type: inspect.Type) -> Any:
    match type:
        case inspect.StructType() | inspect.DictType():
            return Entries
        case inspect.VarTupleType() | inspect.ListType():
            return Items
        case _:
            return Scalar


def _read_struct(node: YamlNode, type: inspect.StructType, field: str, reader: Reader) -> Any:
    reader.count(node, field)
    if not isinstance(node, Entries):
        return reader.fault(node, field, f"expected a mapping, found {kind(node)}")
    known = {each.encode_name: each for each in type.fields}
    values: dict[str, Any] = {}
    good = True
    for key, value in distinct(node, field, reader):
        inside = f"{field}.{key.text}" if field else key.text
        if key.text not in known:
            near = difflib.get_close_matches(key.text, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "known fields: " + ", ".join(known)
            reader.fault(key, inside, f"unknown field {key.text!r}", hint)
            good = False
            continue
        read = _read(value, known[key.text].type, inside, reader)
        good = good and read is not BAD
        values[known[key.text].name] = read
    for each in type.fields:
        if each.required and each.name not in values:
            reader.fault(node, field, f"missing field {each.encode_name!r}")
            good = False
    return type.cls(**values) if good else BAD


def _read_mapping(node: YamlNode, type: inspect.DictType, field: str, reader: Reader) -> Any:
    reader.count(node, field)
    if not isinstance(node, Entries):
        return reader.fault(node, field, f"expected a mapping, found {kind(node)}")
    read = {
        key.text: _read(value, type.value_type, f"{field}.{key.text}", reader)
        for key, value in distinct(node, field, reader)
    }
    return BAD if any(value is BAD for value in read.values()) else read


def _read_items(node: YamlNode, item: inspect.Type, field: str, reader: Reader) -> Any:
    reader.count(node, field)
    if not isinstance(node, Items):
        return reader.fault(node, field, f"expected a list, found {kind(node)}")
    read = [_read(each, item, f"{field}[{at}]", reader) for at, each in enumerate(node.items)]
    return BAD if any(value is BAD for value in read) else tuple(read)


def _read_scalar(node: YamlNode, type: inspect.Type, field: str, reader: Reader) -> Any:
    reader.count(node, field)
    expected: str
    match type:
        case inspect.NoneType():
            return None
        case inspect.StrType():
            expected = "text"
            if isinstance(node, Scalar) and not (node.plain and node.text in _NULL):
                return node.text
        case inspect.LiteralType(values=values):
            expected = _words(values)
            if isinstance(node, Scalar) and node.text in values:
                return node.text
        case inspect.BoolType():
            expected = "true or false"
            if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
                return node.text == "true"
        case inspect.IntType():
            expected = "a whole number"
            if isinstance(node, Scalar) and node.plain and _INTEGER.fullmatch(node.text):
                return int(node.text)
        case _:
            _unsupported(type)
    return reader.fault(node, field, f"expected {expected}, found {kind(node)}")


def _words(values: Sequence[Any]) -> str:
    return "one of " + ", ".join(repr(value) if not value else str(value) for value in values)


def _unsupported(type: inspect.Type) -> NoReturn:
    raise TypeError(f"no YAML form for {type}")


def _below(node: YamlNode, name: str | int) -> YamlNode | None:
    if isinstance(node, Items) and isinstance(name, int) and name < len(node.items):
        return node.items[name]
    if isinstance(node, Entries):
        return next((value for key, value in node.entries if key.text == name), None)
    return None
