"""The newest state of each suite that was read, and when: for what can be said without asking.

A build says by it when its lockfile was last compared with the archive, and whether something
newer is known already. Kept in the cache, lost with it; it decides nothing. What locking needs
of states that were used is ``debian.archive.state_cache``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.debian.index.index import IndexPart, open_index

_NAMESPACE = "seen-indexes"


class SeenSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite as it was last read.

    date:       of its release file
    checked:    when a mirror was last asked
    signers:    fingerprints: another archive of the same name has others
    on_request: whether apt would take packages from it only when asked (backports)
    indexes:    architecture → digests of its indexes
    """

    date: datetime
    checked: datetime
    signers: tuple[str, ...]
    on_request: bool
    indexes: dict[str, tuple[str, ...]]


_SEEN = msgspec.json.Decoder(SeenSuite)


def record_seen(store: Store, archive: str, suite: str, seen: SeenSuite) -> None:
    """Keep what was just read; architectures of the same state add up."""
    before = seen_suite(store, archive, suite, seen.signers)
    if before is not None and before.date > seen.date:
        return  # a mirror that lags behind
    if before is not None and before.date == seen.date:
        indexes = {**before.indexes, **seen.indexes}
        seen = msgspec.structs.replace(seen, indexes=indexes)
    store.remember(_NAMESPACE, f"{archive} {suite}", msgspec.json.encode(seen))


def seen_suite(store: Store, archive: str, suite: str, signers: Sequence[str]) -> SeenSuite | None:
    """What was last read of a suite that one of ``signers`` signed."""
    answer = store.recall(_NAMESPACE, f"{archive} {suite}")
    try:
        found = _SEEN.decode(answer) if answer else None
    except msgspec.DecodeError:
        return None
    return found if found is not None and set(found.signers) & set(signers) else None


def open_seen(
    store: Store, archive: str, suite: str, seen: SeenSuite, architecture: str
) -> list[IndexPart] | None:
    """Its indexes of one architecture; ``None`` unless the cache has all of them."""
    parts: list[IndexPart] = []
    for digest in seen.indexes.get(architecture, ()):
        packed = open_index(Digest.parse(digest), store)
        if packed is None:
            return None
        parts.append(IndexPart(packed=packed, archive=archive, suite=suite))
    return parts or None
