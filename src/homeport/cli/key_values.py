"""``KEY=VALUE``, as repeated options give it."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.errors import UsageError


def key_values(texts: Sequence[str], option: str) -> dict[str, str]:
    """The pairs of a repeated option; the last one wins. Raises ``UsageError``."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise UsageError(f"invalid {option} {text!r}: KEY=VALUE is expected")
        found[key] = value
    return found
