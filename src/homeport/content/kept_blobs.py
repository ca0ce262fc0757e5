"""Answers of the store that are blobs in the store: remembered by digest and size."""

from __future__ import annotations

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import UsageError


def remember_blob(store: Store, namespace: str, key: str, blob: Blob) -> None:
    """Keep which blob is the answer to ``key``."""
    store.remember(namespace, key, f"{blob.digest} {blob.size}".encode())


def recall_blob(store: Store, namespace: str, key: str) -> Blob | None:
    """The blob that was remembered, ``None`` if there is none or the store lost it."""
    answer = store.recall(namespace, key)
    if answer is None:
        return None
    try:
        digest, _, size = answer.decode("ascii").partition(" ")
        return store.get(Digest.parse(digest), int(size))
    except (UsageError, ValueError):
        return None
