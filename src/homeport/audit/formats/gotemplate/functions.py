"""Functions of Go templates and of Helm that give a reference, or a condition."""

from __future__ import annotations

import re
from collections.abc import Callable

from homeport.audit.formats.gotemplate.values import (
    NotSimple,
    Piece,
    Value,
    is_true,
    name_of,
    text_of,
)

#: Functions that leave a reference what it is.
_SAME = frozenset(
    ("lower", "nospace", "quote", "squote", "toString", "trim", "tpl", "print", "trimAll")
)


def call(name: str, arguments: list[Value]) -> Value:
    for functions in (_chosen, _collected, _shaped, _logic):
        found = functions(name, arguments)
        if found is not None:
            return found
    raise NotSimple(f"{name!r} is not evaluated here")


def _chosen(name: str, arguments: list[Value]) -> Value | None:
    """Functions that give one of their arguments."""
    match name, arguments:
        case ("default", [fallback, value]):
            return value if is_true(value) else fallback
        case ("coalesce", [*values]) if values:
            return next((v for v in values if is_true(v)), values[-1])
        case ("ternary", [yes, no, condition]):
            return yes if is_true(condition) else no
        case ("required", [_, value]):
            return value
        case ("fail", _):
            raise NotSimple("the chart refuses its own values here")
    return None


def _collected(name: str, arguments: list[Value]) -> Value | None:
    """Lists and dictionaries, which hand several values to a named template."""
    if name in ("list", "tuple"):
        return (Piece("", fields={str(at): value for at, value in enumerate(arguments)}),)
    if name == "dict" and len(arguments) % 2 == 0:
        pairs = zip(arguments[::2], arguments[1::2], strict=True)
        return (Piece("", fields={text_of(key): value for key, value in pairs}),)
    return None


def _shaped(name: str, arguments: list[Value]) -> Value | None:
    """Functions that give text."""
    match name, arguments:
        case ("printf", [form, *values]):
            return _printf(text_of(form), values)
        case (("trimPrefix" | "trimSuffix"), [cut, value]):
            whole, part = text_of(value), text_of(cut)
            text = whole.removeprefix(part) if name == "trimPrefix" else whole.removesuffix(part)
            return value if text == whole else (Piece(text, name_of(value), whole=True),)
        case ("print", [*values]) if len(values) > 1:
            return tuple(piece for value in values for piece in value)
        case (_, [value, *rest]) if name in _SAME and len(rest) <= (name == "tpl"):
            if "{{" in text_of(value):
                raise NotSimple("a value holds a template itself")
            return value
    return None


def _logic(name: str, arguments: list[Value]) -> Value | None:
    """Functions that conditions are made of."""
    match name, arguments:
        case ("and", [*values]) if values:
            return next((v for v in values if not is_true(v)), values[-1])
        case ("or", [*values]) if values:
            return next((v for v in values if is_true(v)), values[-1])
        case ("len", [value]) if len(value) == 1 and value[0].fields is not None:
            return (Piece(str(len(value[0].fields)), whole=True),)
        case (("not" | "empty"), [value]):
            return _truth(not is_true(value))
        case (_, [one, other]) if name in _TESTS:
            return _truth(_TESTS[name](one, other))
    return None


def _kinds(value: Value) -> tuple[str, ...]:
    """What ``kindIs`` and ``typeIs`` may call it; numbers and booleans are taken for strings."""
    if any(piece.is_map or piece.fields for piece in value):
        return ("map",)
    return ("string",) if text_of(value) else ("invalid", "nil")


def _truth(holds: bool) -> Value:
    return (Piece("true" if holds else "", whole=True),)


def _printf(form: str, values: list[Value]) -> Value:
    pieces: list[Piece] = []
    parts = re.split(r"%[sv]", form)
    if len(parts) != len(values) + 1 or any("%" in part for part in parts):
        raise NotSimple("printf with another form is not evaluated here")
    for part, value in zip(parts, [*values, ()], strict=True):
        if part:
            pieces.append(Piece(part))
        pieces.extend(value)
    return tuple(pieces)


_TESTS: dict[str, Callable[[Value, Value], bool]] = {
    "eq": lambda left, right: text_of(left) == text_of(right),
    "ne": lambda left, right: text_of(left) != text_of(right),
    "hasPrefix": lambda part, value: text_of(value).startswith(text_of(part)),
    "hasSuffix": lambda part, value: text_of(value).endswith(text_of(part)),
    "contains": lambda part, value: text_of(part) in text_of(value),
    "kindIs": lambda kind, value: text_of(kind) in _kinds(value),
    "typeIs": lambda kind, value: text_of(kind) in _kinds(value),
}
