"""A hash of our own source code: part of the key of everything that a cache keeps of our results.

A checkout changes without its version, so a version alone would return results of other code.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[1]


@cache
def code_hash(*paths: str) -> str:
    """The hash of modules and packages, such as ``layers`` or ``debian/deb822.py``."""
    hasher = hashlib.sha256()
    for path in paths:
        found = _ROOT / path
        for file in (
            sorted(each for kind in ("*.py", "*.yaml") for each in found.rglob(kind))
            if found.is_dir()
            else [found]
        ):
            hasher.update(f"{file.relative_to(_ROOT)}\n".encode())
            hasher.update(file.read_bytes())
    return hasher.hexdigest()
