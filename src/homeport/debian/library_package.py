"""Whether a package is called like a library, as Debian Policy 8.1 names packages of libraries."""

from __future__ import annotations

import re

#: Of ``libpam0g`` and ``libharfbuzz0b``: what was added when the library's users had to change.
_LETTER = re.compile(r"(?<=[0-9])[a-z]$")


def is_called_like(package: str, library: str) -> bool:
    """``libacl1`` and ``libacl.so.1``, ``libpcre2-8-0`` and ``libpcre2-8.so.0``."""
    return _plain(package) == _plain(library)


def _plain(name: str) -> str:
    plain = name.removesuffix("t64").replace(".so", "").replace(".", "").replace("-", "").lower()
    return _LETTER.sub("", plain)
