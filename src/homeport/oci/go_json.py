"""JSON documents as Go's encoding/json reads them, because the tools that run images are in Go.

Docker, containerd, podman and most registries decode documents into structs, by these rules:

- a key matches a field whatever its case (with the two letters of Unicode that fold into ASCII,
  ``ſ`` and the Kelvin sign); of several keys for one field the last wins, and objects are merged
- ``null`` leaves a field as it is, and empties a list, map or pointer
- an unknown key is ignored

``Reader`` does the same for msgspec's Structs. Readers in other languages take keys as they are
written, or the first of two. A document in which that makes a difference is two documents for two
readers: ``ambiguities`` names its keys. Not for what the documents mean (``documents``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

T = TypeVar("T")

#: More ambiguous keys of one document are not named.
SHOWN_LIMIT = 5
_FOLDED = {0x017F: "s", 0x212A: "k"}  # reflect: Go's foldName


class BadJson(ValueError):
    """Bytes that are not JSON, or not of the expected shape."""


class Reader(Generic[T]):
    """Reads documents of one shape, a Struct or a list of them; made at import, before threads."""

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        # ``convert`` has no object to make beforehand; this makes what it needs of the type.
        msgspec.json.Decoder(shape)

    def decode(self, raw: bytes) -> T:
        """The value that a program in Go would read. Raises ``BadJson``."""
        try:
            if msgspec.json.decode(raw) is None:  # it is strict, but has no order of keys
                raise BadJson("null")
            document = json.loads(raw, object_pairs_hook=_Pairs)
            return msgspec.convert(_fitted(document, self._shape), self._shape)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadJson(str(error)) from error

    def decode_readable(self, raw: bytes) -> tuple[T, tuple[str, ...]]:
        """What can be read of a document, and the faults of the fields that were left out.

        Raises ``BadJson`` for what is no JSON object.
        """
        try:
            return self.decode(raw), ()
        except BadJson:
            document = self._objects(raw)
        faults: list[str] = []
        while True:
            try:
                return msgspec.convert(document, self._shape), tuple(sorted(faults))
            except msgspec.ValidationError as error:
                faults.append(_field_removed(document, str(error)))

    def _objects(self, raw: bytes) -> dict[str, Any]:
        """The document as objects of the shape's keys."""
        try:
            if not isinstance(msgspec.json.decode(raw), dict):
                raise BadJson("a JSON object is expected")
            pairs = json.loads(raw, object_pairs_hook=_Pairs)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadJson(str(error)) from error
        return dict(_fitted(pairs, self._shape))


def _field_removed(document: dict[str, Any], error: str) -> str:
    """Remove the field that an error of ``convert`` is about; the fault, with its name in front.

    Of a list or a map with one wrong item the whole field goes: half of a command is another one.
    """
    what, _, path = error.partition(" - at `$")
    keys = re.match(r"(?:\.[^.\[\]`]+)*", path)
    names = keys[0].split(".")[1:] if keys else []
    place: Any = document
    while len(names) > 1 and isinstance(place, dict) and isinstance(place.get(names[0]), dict):
        place = place[names.pop(0)]
    if not names or not isinstance(place, dict) or names[0] not in place:
        document.clear()  # a fault without a place: nothing of it can be used
        return what
    del place[names[0]]
    return f"{path.rstrip('`').lstrip('.')}: {what}"


def ambiguities(raw: bytes, shape: Any) -> list[str]:
    """Keys that readers understand differently, such as ``layers, Layers``; at most a few.

    ``raw`` is a document that a ``Reader`` has read.
    """
    try:
        document = json.loads(raw, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise BadJson(str(error)) from error
    found: list[str] = []
    for text in _ambiguous(document, shape):
        if text not in found:
            found.append(text)
        if len(found) == SHOWN_LIMIT:
            break
    return found


class _Pairs(list[tuple[str, Any]]):
    """An object with its keys in their order, each as often as it is there."""


@lru_cache(maxsize=256)  # the same few keys stand in every entry of a document
def _fold(key: str) -> str:
    return key.translate(_FOLDED).lower()


@cache
def _fields(shape: Any) -> dict[str, tuple[str, Any]]:
    """The fields of a Struct: folded key → the key as it is written, and the field's type."""
    hints = get_type_hints(shape)
    pairs = zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
    return {_fold(written): (written, _plain(hints[name])) for name, written in pairs}


def _plain(shape: Any) -> Any:
    """``X`` for ``X | None``."""
    if get_origin(shape) in (Union, UnionType):
        return next(part for part in get_args(shape) if part is not NoneType)
    return shape


def _is_struct(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _fitted(value: Any, shape: Any, before: Any = None) -> Any:
    """``value`` with the keys that ``shape`` knows, and without nulls.

    before: what an earlier key for the same field left, which objects are read into
    """
    origin = get_origin(shape)
    if value is None:
        return _zero(shape)
    if _is_struct(shape) and isinstance(value, _Pairs):
        return _object(value, shape, before)
    if isinstance(value, _Pairs) and origin is not dict:
        return dict(value)  # an object where there should be none: ``convert`` will say so
    if origin in (tuple, list) and isinstance(value, list):
        inner = _plain(get_args(shape)[0])
        return [_fitted(item, inner) for item in value]
    if origin is dict and isinstance(value, _Pairs):
        inner = _plain(get_args(shape)[1])
        return (before or {}) | {key: _fitted(item, inner) for key, item in value}
    return value


def _object(value: _Pairs, shape: Any, before: Any) -> dict[str, Any]:
    fields = _fields(shape)
    found: dict[str, Any] = dict(before or {})
    for key, item in value:
        if (field := fields.get(_fold(key))) is None:
            continue
        written, inner = field
        if item is not None:
            found[written] = _fitted(item, inner, found.get(written))
        elif inner not in (str, int, bool):
            found.pop(written, None)
    reader = getattr(shape, "from_wire", None)
    return found if reader is None else reader(found)


def _zero(shape: Any) -> Any:
    if _is_struct(shape) or get_origin(shape) is dict:
        return {}
    if get_origin(shape) in (tuple, list):
        return []
    return shape() if shape in (str, int, bool) else None


def _ambiguous(value: Any, shape: Any) -> Iterator[str]:
    if isinstance(value, _Pairs):
        yield from _ambiguous_keys(value, shape)
        for key, item in value:
            if isinstance(item, list):  # an object or a list; other values have no keys
                yield from _ambiguous(item, _inner(shape, key))
    elif isinstance(value, list):
        inner = _plain(get_args(shape)[0]) if get_origin(shape) in (tuple, list) else None
        for item in value:
            if isinstance(item, list):
                yield from _ambiguous(item, inner)


def _inner(shape: Any, key: str) -> Any:
    if _is_struct(shape):
        return _fields(shape).get(_fold(key), ("", None))[1]
    return _plain(get_args(shape)[1]) if get_origin(shape) is dict else None


def _ambiguous_keys(pairs: _Pairs, shape: Any) -> Iterator[str]:
    keys = [key for key, _ in pairs]
    if not _is_struct(shape):  # a map's keys are what they are; so may those be that we do not know
        yield from (f"{key} (twice)" for key in _repeated(keys))
        return
    spellings: dict[str, list[str]] = {}
    for key in keys:
        spellings.setdefault(_fold(key), []).append(key)
    for folded, found in spellings.items():
        written = _fields(shape).get(folded, (found[0], None))[0]
        if len(found) > 1:
            distinct = list(dict.fromkeys(found))
            yield ", ".join(distinct) if len(distinct) > 1 else f"{found[0]} (twice)"
        elif found[0] != written:
            yield f"{found[0]} (for {written})"


def _repeated(keys: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            yield key
        seen.add(key)
