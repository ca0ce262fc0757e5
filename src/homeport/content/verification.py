"""What the cache holds and whether it is sound: the results of ``homeport cache``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from homeport.content.digest import Digest
from homeport.content.store import Store, Usage
from homeport.progress import Progress


class CacheInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cache is, what it holds, and how large it may become (bytes)."""

    directory: Path
    bound: int
    usage: Usage


class CacheVerified(msgspec.Struct, frozen=True, kw_only=True):
    """The number of files that were verified, and those that were damaged and removed.

    unverified_answers: results without a valid MAC: changed, or written with another key
    """

    checked: int
    damaged: tuple[Digest, ...]
    unverified_answers: int


def verify_cache(store: Store, progress: Progress) -> CacheVerified:
    """Read all content again; damaged files are removed."""
    usage = store.usage()
    progress.begin("cache verify", label="verify", total=usage.blob_bytes, unit="bytes")
    damage = store.verify(lambda size: progress.advance("cache verify", size))
    progress.end("cache verify")
    return CacheVerified(
        checked=usage.blobs + usage.answers, damaged=damage.blobs, unverified_answers=damage.answers
    )
