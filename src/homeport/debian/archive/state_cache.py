"""States used before, recorded in the cache: for offline use and roll-back detection.

Lost with the cache. Release files that are read back are verified again, as if a mirror
had just sent them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from homeport.content.blob import verified
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.debian.archive.release_candidates import (
    Candidate,
    ReleaseFiles,
    SuiteLocation,
    verified_candidate,
)
from homeport.debian.archive.state import SuiteSpec
from homeport.errors import HomeportError

_NAMESPACE = "debian-states"
_KEPT = 12  # states of one suite


def record_state(store: Store, candidate: Candidate) -> None:
    """Record that a state was used."""
    files = candidate.files
    entry = {
        "release": _keep(store, files.release),
        "signature": None if files.signature is None else _keep(store, files.signature),
        "digest": str(candidate.digest),
        "folder": candidate.location.folder,
        "directory": candidate.location.directory,
        "label": candidate.location.label,
        "date": candidate.release.date.isoformat(),
    }
    others = [
        known for known in _entries(store, candidate.spec) if known["digest"] != entry["digest"]
    ]
    entries = sorted([entry, *others], key=lambda known: known["date"], reverse=True)
    store.remember(_NAMESPACE, _key(candidate.spec), json.dumps(entries[:_KEPT]).encode())


def recorded_states(store: Store, spec: SuiteSpec) -> Iterator[Candidate]:
    """The states used before whose release files are still in the cache, newest first."""
    for entry in _entries(store, spec):
        release, signature = _recall(store, entry["release"]), entry["signature"]
        proof = None if signature is None else _recall(store, signature)
        if release is None or (signature is not None and proof is None):
            continue
        location = SuiteLocation(
            mirror=None,
            folder=entry["folder"],
            directory=entry["directory"],
            label=entry["label"],
        )
        try:
            files = ReleaseFiles(release=release, signature=proof)
            yield verified_candidate(spec, location, files)
        except HomeportError:
            continue  # no longer signed by a trusted key, or the cache is damaged


def newest_recorded_date(store: Store, spec: SuiteSpec) -> datetime | None:
    """The Date of the newest state that was ever used."""
    dates = [datetime.fromisoformat(entry["date"]) for entry in _entries(store, spec)]
    return max(dates, default=None)


def _entries(store: Store, spec: SuiteSpec) -> list[dict[str, Any]]:
    answer = store.recall(_NAMESPACE, _key(spec))
    try:
        entries = json.loads(answer) if answer else []
        for entry in entries:
            datetime.fromisoformat(entry["date"])
            _ = entry["release"], entry["signature"], entry["digest"], entry["folder"]
            _ = entry["directory"], entry["label"]
    except (ValueError, KeyError, TypeError):
        return []
    return list(entries)


def _key(spec: SuiteSpec) -> str:
    """The suite and its trusted keys: they distinguish two archives of one name."""
    trusted = " ".join(sorted((*spec.keyring.fingerprints, *spec.keyring.only)))
    return f"{spec.archive} {spec.suite} {trusted}"


def _keep(store: Store, data: bytes) -> list[str | int]:
    blob = store.put_bytes(data)
    return [str(blob.digest), blob.size]


def _recall(store: Store, kept: list[Any]) -> bytes | None:
    blob = store.get(Digest.parse(kept[0]), kept[1])
    if blob is None:
        return None
    try:
        with verified(blob, "release file") as stream:
            return stream.read(-1)
    except (HomeportError, OSError):
        store.drop(blob.digest)
        return None
