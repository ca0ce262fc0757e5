"""Protocol buffers, as much of them as BuildKit's API needs: messages as frozen values.

    @message
    class Input:
        digest: str = text(1)
        index: int = number(2)

    encode(Input(digest="sha256:…"))     decode(Input, data)

Fields are written by number, map entries by key, defaults not at all: the same value is
always the same bytes, which LLB digests rest on. Unknown fields are skipped, so a message
states only what we use. ``raw`` fields are bytes, for names that need not be UTF-8.
Not for services or transport (``homeport.buildkit.protocol.grpc_client``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar, cast, dataclass_transform

import msgspec

from homeport.errors import HomeportError

M = TypeVar("M")
Kind = Literal["text", "raw", "number", "flag", "time", "part"]
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class BadMessage(HomeportError):
    """The engine sent bytes that are not the message they should be."""

    id = "bad-message"


class _Shape(msgspec.Struct, frozen=True):
    """How one field travels. ``model`` is the message of a part."""

    number: int
    kind: Kind
    repeated: bool = False
    mapping: bool = False
    optional: bool = False
    model: Callable[[], type[Any]] | None = None


class _Declared(msgspec.Struct, frozen=True):
    """What stands behind a field's name until ``message`` has read it."""

    shape: _Shape
    default: Any = None
    factory: Any = None


#: Of each message its fields, in the order of their numbers, and the same by number.
_SHAPES: dict[type[Any], tuple[tuple[str, _Shape], ...]] = {}
_BY_TAG: dict[type[Any], dict[int, tuple[str, _Shape]]] = {}


def _declared(shape: _Shape, default: Any = None, factory: Any = None) -> Any:
    return _Declared(shape, default, factory)


def text(number: int) -> Any:
    """A string."""
    return _declared(_Shape(number, "text"), "")


def raw(number: int) -> Any:
    """Bytes."""
    return _declared(_Shape(number, "raw"), b"")


def number(number: int) -> Any:
    """Any varint integer or enum, negative ones as int64."""
    return _declared(_Shape(number, "number"), 0)


def choice(number: int) -> Any:
    """An integer of a oneof: 0 is written too, ``None`` is not."""
    return _declared(_Shape(number, "number", optional=True), None)


def flag(number: int) -> Any:
    """A boolean."""
    return _declared(_Shape(number, "flag"), False)


def time(number: int) -> Any:
    """A ``google.protobuf.Timestamp`` as nanoseconds since 1970, or ``None``."""
    return _declared(_Shape(number, "time", optional=True), None)


def texts(number: int) -> Any:
    """Repeated strings, a tuple."""
    return _declared(_Shape(number, "text", repeated=True), ())


def raws(number: int) -> Any:
    """Repeated bytes, a tuple."""
    return _declared(_Shape(number, "raw", repeated=True), ())


def numbers(number: int) -> Any:
    """Repeated integers, packed, a tuple."""
    return _declared(_Shape(number, "number", repeated=True), ())


def part(number: int, model: Callable[[], type[Any]]) -> Any:
    """A message inside, or ``None``. ``model`` is a function, so that types may refer on."""
    return _declared(_Shape(number, "part", optional=True, model=model), None)


def parts(number: int, model: Callable[[], type[Any]]) -> Any:
    """Repeated messages, a tuple."""
    return _declared(_Shape(number, "part", repeated=True, model=model), ())


def text_map(number: int) -> Any:
    """A map from string to string."""
    return _declared(_Shape(number, "text", mapping=True), factory=dict)


def flag_map(number: int) -> Any:
    """A map from string to boolean."""
    return _declared(_Shape(number, "flag", mapping=True), factory=dict)


def raw_map(number: int) -> Any:
    """A map from string to bytes."""
    return _declared(_Shape(number, "raw", mapping=True), factory=dict)


def part_map(number: int, model: Callable[[], type[Any]]) -> Any:
    """A map from string to message."""
    return _declared(_Shape(number, "part", mapping=True, model=model), factory=dict)


# No field_specifiers: to type checkers a declaration is then simply a default.
@dataclass_transform(frozen_default=True, kw_only_default=True)
def message(cls: type[M]) -> type[M]:
    """Class decorator: frozen, keyword-only, slotted, and known to ``encode`` and ``decode``.

    A msgspec struct: seventy dataclasses took 60 ms of every start to define, these take two.
    """
    declared = {name: value for name, value in vars(cls).items() if isinstance(value, _Declared)}
    made = msgspec.defstruct(
        cls.__name__,
        [(name, Any, _struct_field(each)) for name, each in declared.items()],
        namespace={"__doc__": cls.__doc__, "__qualname__": cls.__qualname__},
        module=cls.__module__,
        frozen=True,
        kw_only=True,
    )
    shapes = sorted(
        ((name, each.shape) for name, each in declared.items()), key=lambda pair: pair[1].number
    )
    _SHAPES[made] = tuple(shapes)
    _BY_TAG[made] = {shape.number: (name, shape) for name, shape in shapes}
    return cast("type[M]", made)


def _struct_field(declared: _Declared) -> Any:
    if declared.factory is not None:
        return msgspec.field(default_factory=declared.factory)
    return msgspec.field(default=declared.default)


def changed(value: M, **fields: Any) -> M:
    """The same message with other values in some fields."""
    return cast("M", msgspec.structs.replace(cast("msgspec.Struct", value), **fields))


def contents(value: Any) -> dict[str, Any] | None:
    """A message's fields that are set, by name, in the order of their numbers.

    A field that may be ``None`` was chosen where it is not: its zero means something.
    Nothing for bytes that are not a message.
    """
    shapes = _SHAPES.get(type(value))
    if shapes is None:
        return None
    return {
        name: content
        for name, shape in shapes
        if (content := getattr(value, name)) or (shape.optional and content is not None)
    }


def encode(value: Any) -> bytes:
    """The canonical bytes of a message."""
    out = bytearray()
    for name, shape in _SHAPES[type(value)]:
        content = getattr(value, name)
        if shape.mapping:
            for key in sorted(content):
                entry = _tagged(1, _LENGTH, _sized(key.encode()))
                entry += _one(2, shape, content[key])
                out += _tagged(shape.number, _LENGTH, _sized(entry))
        elif shape.repeated and shape.kind == "number":
            if content:
                packed = b"".join(varint(item) for item in content)
                out += _tagged(shape.number, _LENGTH, _sized(packed))
        elif shape.repeated:
            for item in content:
                out += _one(shape.number, shape, item)
        elif content or (shape.optional and content is not None):
            out += _one(shape.number, shape, content)
    return bytes(out)


def decode(model: type[M], data: bytes | memoryview) -> M:
    """Read a message. Raises ``BadMessage``."""
    shapes = _BY_TAG[model]
    found: dict[str, Any] = {}
    for tag, wire, content in split(data):
        known = shapes.get(tag)
        if known is None:
            continue
        name, shape = known
        if shape.mapping:
            key, value = _entry(shape, content)
            found.setdefault(name, {})[key] = value
        elif shape.repeated and shape.kind == "number" and wire == _LENGTH:
            found.setdefault(name, []).extend(_unpacked(content))
        elif shape.repeated:
            found.setdefault(name, []).append(_value(shape, content))
        else:
            found[name] = _value(shape, content)
    return model(**{k: tuple(v) if isinstance(v, list) else v for k, v in found.items()})


def split(data: bytes | memoryview) -> Iterator[tuple[int, int, Any]]:
    """Field number, wire type, and an integer or bytes, one after the other."""
    view = memoryview(data)
    at, end = 0, len(view)
    while at < end:
        key, at = _read_varint(view, at)
        tag, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _read_varint(view, at)
            yield tag, wire, value
            continue
        if wire == _LENGTH:
            size, at = _read_varint(view, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise BadMessage(f"a field has the unknown wire type {wire}")
        if size > end - at:
            raise BadMessage("a message is truncated")
        yield tag, wire, view[at : at + size]
        at += size


def _one(number: int, shape: _Shape, content: Any) -> bytes:
    match shape.kind:
        case "text":
            return _tagged(number, _LENGTH, _sized(content.encode()))
        case "raw":
            return _tagged(number, _LENGTH, _sized(content))
        case "number" | "flag":
            return _tagged(number, _VARINT, varint(int(content)))
        case "time":
            seconds, nanos = divmod(content, 10**9)
            stamp = _tagged(1, _VARINT, varint(seconds)) if seconds else b""
            stamp += _tagged(2, _VARINT, varint(nanos)) if nanos else b""
            return _tagged(number, _LENGTH, _sized(stamp))
        case "part":
            return _tagged(number, _LENGTH, _sized(encode(content)))


def _value(shape: _Shape, content: Any) -> Any:
    if isinstance(content, int) != (shape.kind in ("number", "flag")):
        raise BadMessage("a field has an unexpected type")
    match shape.kind:
        case "text":
            return str(content, "utf-8", "replace")
        case "raw":
            return bytes(content)
        case "number":
            return content - (1 << 64) if content >> 63 else content
        case "flag":
            return bool(content)
        case "time":
            stamp = {tag: value for tag, _, value in split(content)}
            return _signed(stamp.get(1, 0)) * 10**9 + _signed(stamp.get(2, 0))
        case "part":
            assert shape.model is not None
            return decode(shape.model(), content)


def _entry(shape: _Shape, content: Any) -> tuple[str, Any]:
    if isinstance(content, int):
        raise BadMessage("a map entry is a number")
    key = ""
    value: Any = None
    for tag, _, inner in split(content):
        if tag == 1 and isinstance(inner, int):
            raise BadMessage("the key of a map entry is a number")
        if tag == 1:
            key = str(inner, "utf-8", "replace")
        elif tag == 2:
            value = _value(shape, inner)
    return key, _empty(shape) if value is None else value


def _empty(shape: _Shape) -> Any:
    if shape.kind == "part":
        assert shape.model is not None
        return shape.model()()
    return {"text": "", "raw": b"", "number": 0, "flag": False}[shape.kind]


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise BadMessage("invalid time")
    return value - (1 << 64) if value >> 63 else value


def _unpacked(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _read_varint(content, at)
        yield _signed(value)


def _tagged(number: int, wire: int, content: bytes) -> bytes:
    return varint(number << 3 | wire) + content


def _sized(content: bytes) -> bytes:
    return varint(len(content)) + content


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    if 0 <= value < 0x80:
        return _ONE_BYTE[value]
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise BadMessage("a number does not end")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
        shift += 7
