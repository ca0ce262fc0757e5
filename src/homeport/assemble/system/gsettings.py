"""gschemas.compiled as glib-compile-schemas writes it: every setting with its default.

Sources: gschema.dtd and gio/glib-compile-schemas.c of GLib (what a schema may hold, which
files come first), gio/strinfo.c (names of enumerations as words). As there, a file with a
fault is left out as a whole, and an override with one alone; ``faults`` says which.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from homeport.assemble.system.gvariant import Just, Typed, split_type, variant
from homeport.assemble.system.gvariant_text import parse
from homeport.assemble.system.gvdb import Table, gvdb
from homeport.assemble.system.xml_documents import read_xml

SCHEMA, ENUMS, OVERRIDE = ".gschema.xml", ".enums.xml", ".gschema.override"
_RANGES = {
    "y": ("0", "255"), "n": ("-32768", "32767"), "q": ("0", "65535"),
    "i": ("-2147483648", "2147483647"), "u": ("0", "4294967295"),
    "x": ("-9223372036854775808", "9223372036854775807"), "t": ("0", "18446744073709551615"),
    "d": ("-inf", "inf"),
}  # fmt: skip
_KEY_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")
_MOST_WORDS = 17


class _Names:
    """Names with numbers: an enumeration, flags, or choices, which have none."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.words = b""
        self.known: dict[str, int] = {}  # names without aliases → their place
        self._aliases: set[str] = set()

    def copy(self) -> _Names:
        other = _Names(self.kind)
        other.words, other.known = self.words, dict(self.known)
        other._aliases = set(self._aliases)
        return other

    def add(self, name: str, number: int) -> None:
        if name in self.known or name in self._aliases:
            raise ValueError(f"duplicate {name!r}")
        self.known[name] = len(self.words) // 4
        self.words += struct.pack("<I", number & 0xFFFFFFFF) + _words(name, b"\xff")

    def add_alias(self, name: str, target: str) -> None:
        if name in self.known or name in self._aliases or target not in self.known:
            raise ValueError(f"invalid alias {name!r} of {target!r}")
        self._aliases.add(name)
        self.words += struct.pack("<I", self.known[target]) + _words(name, b"\xfe")


class _Key:
    """A key of a schema, or what another schema says about it instead."""

    def __init__(self, kind: str, names: _Names | None, *, translatable: bool) -> None:
        self.kind = kind
        self.names = names
        self.translatable = translatable
        self.default: Any = None
        self.has_default = False
        self.translation: tuple[str, str] | None = None
        self.range: tuple[Any, Any] | None = None
        self.desktops: dict[str, Any] = {}

    def set_default(self, element: Element) -> None:
        text = "".join(element.itertext())
        category, context = element.get("l10n"), element.get("context")
        if category is not None:
            if category not in ("messages", "time") or not self.translatable:
                raise ValueError(f"invalid l10n {category!r}")
            shown = text.strip(" \t\n\v\f\r")
            message = shown if context is None else f"{context}\x04{shown}"
            self.translation = (category[0], message)
        self.default = parse(self.kind, text)
        self.has_default = True

    def check(self, value: Any) -> None:
        if self.range is not None and not self.range[0] <= value <= self.range[1]:
            raise ValueError("out of range")
        if self.names is not None and self.names.words:
            for each in _texts(value):
                if each not in self.names.known:
                    raise ValueError(f"{each!r} is not one of the choices")

    def variant(self) -> bytes:
        parts: list[tuple[str, Any]] = [(self.kind, self.default)]
        if self.translation is not None:
            category, text = self.translation
            parts.append(("(y(ys))", (ord("l"), (ord(category), text))))
        if self.names is not None and self.names.words:
            words = [*struct.unpack(f"<{len(self.names.words) // 4}I", self.names.words)]
            parts.append(("(yau)", (ord(self.names.kind), words)))
        if self.range is not None:
            parts.append((f"(y({self.kind}{self.kind}))", (ord("r"), self.range)))
        if self.desktops:
            desktops = [(name, Typed(self.kind, v)) for name, v in sorted(self.desktops.items())]
            parts.append(("(ya{sv})", (ord("d"), desktops)))
        kinds, values = zip(*parts, strict=True)
        return variant(f"({''.join(kinds)})", values)


class _Schema:
    def __init__(self, element: Element, domain: str | None) -> None:
        self.path = element.get("path")
        self.domain = element.get("gettext-domain", domain)
        self.extends = element.get("extends")
        self.list_of = element.get("list-of")
        self.keys: dict[str, _Key] = {}
        self.children: dict[str, str] = {}


def compile_schemas(files: Mapping[str, bytes], fault: Callable[[str, str], None]) -> bytes:
    """The file for ``files`` of one folder, by name.

    fault: called with the name of a file, or of a key in it, and what is wrong
    """
    compiling = _Compiling()
    names = [name for name in files if name.endswith((SCHEMA, ENUMS))]
    for name in sorted(names, key=lambda each: (not each.endswith(ENUMS), each.encode())):
        try:
            compiling.add_file(read_xml(files[name]))
        except ValueError as error:
            fault(name, str(error))
    for name in sorted((n for n in files if n.endswith(OVERRIDE)), key=str.encode):
        for group, key, value in _settings(files[name].decode("utf-8", "replace")):
            try:
                compiling.override(group, key, value)
            except ValueError as error:
                fault(f"{name}, {key}", str(error))
    return gvdb(compiling.table())


class _Compiling:
    def __init__(self) -> None:
        self.schemas: dict[str, _Schema] = {}
        self._names: dict[tuple[str, str], _Names] = {}

    def add_file(self, root: Element) -> None:
        if root.tag != "schemalist":
            raise ValueError(f"expected <schemalist>, found <{root.tag}>")
        before = dict(self.schemas), dict(self._names)
        try:
            for element in root:
                if element.tag in ("enum", "flags"):
                    self._add_names(element)
                elif element.tag == "schema":
                    self._add_schema(element, root.get("gettext-domain"))
                else:
                    raise ValueError(f"expected <schema>, found <{element.tag}>")
        except ValueError:
            self.schemas, self._names = before
            raise

    def override(self, group: str, name: str, text: str) -> None:
        schema_name, _, desktop = group.partition(":")
        schema = self.schemas.get(schema_name)
        if schema is None:
            return  # not installed, which is usual
        key = schema.keys.get(name)
        if key is None or (desktop and key.translation is not None):
            raise ValueError(f"no such key in {schema_name} that can be overridden")
        value = parse(key.kind, text)
        key.check(value)
        if desktop:
            key.desktops[desktop] = value
        else:
            key.default = value

    def table(self) -> Table:
        return Table(below={name: _table_of(schema) for name, schema in self.schemas.items()})

    def _add_names(self, element: Element) -> None:
        identity = (element.tag, _attribute(element, "id"))
        if identity in self._names or not len(element):
            raise ValueError(f"<{element.tag} id='{identity[1]}'> is empty or a duplicate")
        found = _Names("f" if element.tag == "flags" else "e")
        for each in element:
            number = int(_attribute(each, "value"), 0)
            if not (0 if found.kind == "f" else -1 << 31) <= number < 1 << 32:
                raise ValueError(f"the number {number} is too large")
            if found.kind == "e" or number:
                found.add(_attribute(each, "nick"), number)
        self._names[identity] = found

    def _add_schema(self, element: Element, domain: str | None) -> None:
        name = _attribute(element, "id")
        schema = _Schema(element, domain)
        parents = [each for each in (schema.extends, schema.list_of) if each is not None]
        if name in self.schemas or any(each not in self.schemas for each in parents):
            raise ValueError(f"<schema id='{name}'> is a duplicate or extends an undefined schema")
        if schema.extends is not None and schema.list_of is None:
            schema.list_of = self.schemas[schema.extends].list_of
        for each in element:
            key_name = _attribute(each, "name")
            if not _KEY_NAME.fullmatch(key_name) or key_name in schema.keys:
                raise ValueError(f"the name {key_name!r} is invalid or a duplicate")
            if each.tag == "child":
                schema.children[key_name] = _attribute(each, "schema")
            elif each.tag == "key":
                schema.keys[key_name] = self._key(each, schema)
            elif each.tag == "override":
                schema.keys[key_name] = self._overriding(each, schema, key_name)
            else:
                raise ValueError(f"unexpected <{each.tag}> in <schema>")
        self.schemas[name] = schema

    def _key(self, element: Element, schema: _Schema) -> _Key:
        kinds = [each for each in ("type", "enum", "flags") if element.get(each) is not None]
        if len(kinds) != 1:
            raise ValueError("a key needs exactly one of type, enum and flags")
        value = element.get(kinds[0], "")
        names = None
        if kinds[0] == "type":
            if len(split_type(value)) != 1:
                raise ValueError(f"invalid type {value!r}")
        else:
            known = self._names.get((kinds[0], value))
            if known is None:
                raise ValueError(f"<{kinds[0]} id='{value}'> is not defined before this key")
            names, value = known.copy(), "s" if kinds[0] == "enum" else "as"
        key = _Key(value, names, translatable=schema.domain is not None)
        for each in element:
            _add_to_key(key, each)
        if not key.has_default:
            raise ValueError(f"the key {element.get('name')} has no default")
        key.check(key.default)
        return key

    def _overriding(self, element: Element, schema: _Schema, name: str) -> _Key:
        parent = schema.extends
        while parent is not None and name not in self.schemas[parent].keys:
            parent = self.schemas[parent].extends
        if parent is None:
            raise ValueError(f"no key {name!r} to override")
        original = self.schemas[parent].keys[name]
        key = _Key(original.kind, original.names, translatable=schema.domain is not None)
        key.range = original.range
        key.set_default(element)
        key.check(key.default)
        return key


def _add_to_key(key: _Key, element: Element) -> None:
    match element.tag:
        case "default":
            key.set_default(element)
        case "range" if key.kind in _RANGES:
            least, most = _RANGES[key.kind]
            key.range = (
                parse(key.kind, element.get("min", least)),
                parse(key.kind, element.get("max", most)),
            )
        case "choices":
            key.names = _Names("c")
            for each in element:
                key.names.add(_attribute(each, "value"), 0)
        case "aliases" if key.names is not None:
            for each in element:
                key.names.add_alias(_attribute(each, "value"), _attribute(each, "target"))
        case "summary" | "description":
            pass
        case _:
            raise ValueError(f"unexpected <{element.tag}> in <key>")


def _table_of(schema: _Schema) -> Table:
    below: dict[str, bytes | Table] = {name: key.variant() for name, key in schema.keys.items()}
    below |= {f"{name}/": variant("s", target) for name, target in schema.children.items()}
    beside = {
        ".path": schema.path,
        ".extends": schema.extends,
        ".list-of": schema.list_of,
        ".gettext-domain": (
            schema.domain if any(key.translation for key in schema.keys.values()) else None
        ),
    }
    return Table(
        below=below, beside={k: variant("s", v) for k, v in beside.items() if v is not None}
    )


def _settings(text: str) -> Iterator[tuple[str, str, str]]:
    """Group, key and value of a key file (Desktop Entry Specification)."""
    group = ""
    for line in text.splitlines():
        stripped = line.strip(" \t\r\v\f")
        if stripped.startswith("[") and stripped.endswith("]"):
            group = stripped[1:-1]
        elif "=" in stripped and not stripped.startswith("#"):
            key, _, value = stripped.partition("=")
            yield group, key.rstrip(), value.lstrip()


def _attribute(element: Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise ValueError(f"<{element.tag}> has no {name}")
    return value


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value of texts, arrays and maybes."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, Just):
        yield from _texts(value.value)


def _words(name: str, first: bytes) -> bytes:
    data = name.encode()
    count = max(2, (len(data) + 6) // 4)
    if count > _MOST_WORDS:
        raise ValueError(f"the name {name!r} is too long")
    return (first + data).ljust(4 * count - 1, b"\0") + b"\xff"
