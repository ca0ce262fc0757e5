"""``--cache-from`` and ``--cache-to`` as engines take them."""

from __future__ import annotations

from homeport.buildkit.protocol.control import CacheOptionsEntry
from homeport.errors import UsageError


def parse_cache(text: str) -> CacheOptionsEntry:
    """``type=registry,ref=…,mode=max``, or a bare reference. Raises ``UsageError``."""
    if "=" not in text:
        return CacheOptionsEntry(type="registry", attrs={"ref": text})
    attrs = {}
    for word in text.split(","):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"the cache {text!r}: {word!r} is not KEY=VALUE")
        attrs[key.strip()] = value
    kind = attrs.pop("type", "")
    if not kind:
        raise UsageError(f"the cache {text!r} has no type", hint="type=registry,ref=HOST/NAME")
    return CacheOptionsEntry(type=kind, attrs=attrs)
