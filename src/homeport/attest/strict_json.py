"""JSON that was signed, read so that no two readers see two documents in it.

Duplicate keys are rejected (which of them counts differs between readers: cosign takes the last,
skopeo refuses), so are NaN, text after the document, and nesting that Python cannot follow.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from homeport.attest.errors import BadSignature

T = TypeVar("T")


def decode(raw: bytes, shape: type[T], what: str) -> T:
    """``raw`` as ``shape``. Raises ``BadSignature`` naming ``what`` and the reason."""
    try:
        return msgspec.convert(parse(raw, what), shape)
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
