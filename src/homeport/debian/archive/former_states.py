"""A state that a lockfile recorded, found again by the digest of its release file.

Mirrors have it until the archive publishes its next one; snapshot archives keep all. Not for
choosing a state (``debian.archive.archive``): this one is known, and is taken or not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from homeport.content.digest import Digest
from homeport.debian.archive.index_fetch import CompleteState, fetch_indexes
from homeport.debian.archive.mirror import MIRROR_ERRORS, Mirror
from homeport.debian.archive.mirror_list import SNAPSHOT_LAG, Mirrors
from homeport.debian.archive.release_candidates import Candidate, read_candidate, suite_location
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import record_state
from homeport.errors import HomeportError
from homeport.runtime import Runtime


class FormerState(msgspec.Struct, frozen=True, kw_only=True):
    """What a lockfile says of a suite that was consulted.

    digest:        of the release file, as received
    date:          its own
    architectures: whose indexes are wanted
    """

    spec: SuiteSpec
    digest: Digest
    date: datetime
    architectures: tuple[str, ...]


def find_former_state(
    wanted: FormerState, mirrors: Mirrors, runtime: Runtime
) -> tuple[Candidate | None, tuple[HomeportError, ...]]:
    """The verified release file, kept in the cache with its indexes; or what was in the way.

    Asked are the archive's mirrors, then each snapshot archive at the state's date and a day
    later, one after another.
    """
    errors: list[HomeportError] = []
    for mirror in _places(wanted, mirrors):
        runtime.cancel.check()
        location = suite_location(wanted.spec, mirror, wanted.spec.suite)
        try:
            candidate = read_candidate(wanted.spec, location, fail_fast=True)
        except MIRROR_ERRORS as error:
            errors.append(error)
            continue
        if candidate.digest != wanted.digest:
            continue
        found = fetch_indexes(candidate, wanted.architectures, (), runtime)
        if isinstance(found, CompleteState):
            record_state(runtime.store, candidate)
            return candidate, ()
        errors.append(found.error)
    return None, tuple(errors)


def _places(wanted: FormerState, mirrors: Mirrors) -> Iterator[Mirror]:
    yield from mirrors.of(wanted.spec.archive)
    dates = (wanted.date, wanted.date + SNAPSHOT_LAG)
    for snapshots in mirrors.snapshot_mirrors(wanted.spec.archive, *dates):
        yield from snapshots
