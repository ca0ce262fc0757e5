"""What the results of inspection depend on, besides the image: this code."""

from __future__ import annotations

from homeport.content.code_hash import code_hash

_DECIDES = (
    "inspection", "layers", "tree", "copying/tarstream.py", "debian/deb822.py", "elf.py",
)  # fmt: skip


def code_version() -> str:
    """Part of the key of every result that inspection keeps in the store."""
    return code_hash(*_DECIDES)[:16]
