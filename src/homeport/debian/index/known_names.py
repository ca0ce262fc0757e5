"""The names of the packages in the index that was opened last, for shells that complete them.

One answer of the store: names in byte order, a line each, so that a TAB reads one file and finds
its names by bisection, however large the index is. Not for looking a package up: names may be of
an older state, or of another recipe's archives.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TYPE_CHECKING

from homeport.content.store import Store

if TYPE_CHECKING:  # 60 ms that completion saves
    from homeport.debian.index.index import MergedIndex

_NAMESPACE = "package-names"
_NAMES, _SOURCE = "names", "source"


def remember_names(index: MergedIndex, store: Store) -> None:
    """Keep the names of an index, unless it is the one that they are of already."""
    source = hashlib.sha256()
    for part in index.parts:
        source.update(str(part.packed.frames.digest).encode())
    if store.recall(_NAMESPACE, _SOURCE) == source.digest():
        return
    names = {name for part in index.parts for name in part.packed.names()}
    store.remember(_NAMESPACE, _NAMES, "\n".join(sorted(names)).encode())
    store.remember(_NAMESPACE, _SOURCE, source.digest())


def known_names(store: Store, prefix: str, most: int) -> list[str]:
    """At most so many of the names that begin with ``prefix``; none if no index was opened."""
    names = (store.recall(_NAMESPACE, _NAMES) or b"").decode().split("\n")
    start = bisect_left(names, prefix)
    found = []
    for name in names[start : start + most]:
        if not name.startswith(prefix):
            break
        if name:
            found.append(name)
    return found
