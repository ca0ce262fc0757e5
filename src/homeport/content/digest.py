"""Digests: the names of bytes (OCI image specification, "Descriptors", section "Digests").

Not for hashing policy: the caller chooses the algorithm.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from homeport.errors import UsageError

_LENGTHS = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+")


class Digest(msgspec.Struct, frozen=True, order=True):
    """A registered digest: ``sha256`` or ``sha512`` and lower-case hexadecimal digits."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:…``; raise ``UsageError`` for anything that is not a full digest."""
        algorithm, colon, digits = text.partition(":")
        wanted = _LENGTHS.get(algorithm)
        if not colon or wanted is None:
            raise UsageError(f"invalid digest {text!r}: it must start with sha256: or sha512:")
        if len(digits) != wanted or not _HEX.fullmatch(digits):
            raise UsageError(f"invalid digest {text!r}: {algorithm} has {wanted} digits 0-9a-f")
        return cls(algorithm, digits)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """The digest of bytes in memory."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    @classmethod
    def finished(cls, hasher: Any, algorithm: str = "sha256") -> Digest:
        """The digest of what ``hasher`` (from ``hasher()``) was fed."""
        return cls(algorithm, hasher.hexdigest())

    def hasher(self) -> Any:
        """A fresh hashlib object of this digest's algorithm."""
        return hashlib.new(self.algorithm)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"
