"""Names of predicate types, as people write them."""

from __future__ import annotations

from homeport.attest.statement import PREDICATE_TYPES, SIGNATURE
from homeport.errors import UsageError


def predicate_uri(type: str) -> str:
    """The predicate type that a short name stands for. Raises ``UsageError``."""
    if type == "signature":
        return SIGNATURE
    if type in PREDICATE_TYPES:
        return PREDICATE_TYPES[type]
    if ":" not in type:
        raise UsageError(
            f"unknown predicate type {type!r}",
            hint=f"use {', '.join(PREDICATE_TYPES)}, or a URI",
        )
    return type
