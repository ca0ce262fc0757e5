"""JSON that was signed, read so that no two readers see two documents in it.

Duplicate keys are rejected (which of them counts differs between readers: cosign takes the last,
skopeo refuses), so are NaN, text after the document, and nesting that Python cannot follow.
"""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

import msgspec

from homeport.attest.errors import BadSignature

T = TypeVar("T")


class Reader(Generic[T]):
    """Reads documents of one shape. Made when its module is loaded (docs/decisions/decoders.md)."""

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        msgspec.json.Decoder(shape)  # so that no two threads are the first to use the shape

    def decode(self, raw: bytes, what: str) -> T:
        """``raw`` as the shape. Raises ``BadSignature`` naming ``what`` and the reason."""
        return self.convert(parse(raw, what), what)

    def convert(self, value: Any, what: str) -> T:
        """Plain values as the shape. Raises ``BadSignature``."""
        try:
            return msgspec.convert(value, self._shape)
        except (msgspec.ValidationError, RecursionError) as error:
            raise BadSignature(f"{what} is not valid: {error}") from error


def parse(raw: bytes, what: str) -> Any:
    """``raw`` as plain values. Raises ``BadSignature``."""
    try:
        return json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise BadSignature(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise BadSignature(f"{what} is not valid JSON: {error}") from error


def canonical(value: Any) -> bytes:
    """Canonical JSON as Rekor signs it: sorted keys, no blanks, no escapes beyond JSON's."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
