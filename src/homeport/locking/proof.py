"""Verifying a recipe's lockfile against what the archives signed, and keeping the proof of it.

``verify`` needs the proof beside the lockfile and nothing else; ``verify_from_archive`` asks the
archives again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from homeport.content.files import CannotRead
from homeport.content.store import Store
from homeport.debian.archive.former_states import FormerState, find_former_state
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec
from homeport.errors import HomeportError
from homeport.locking.archive_access import ArchiveAccess, suite_specs
from homeport.locking.lock_paths import proof_path
from homeport.locking.lock_verification import (
    LockVerdict,
    all_locks,
    cached_candidates,
    cached_evidence,
    compare,
    corrected,
    evidence_of,
    locked_names,
    needed_states,
)
from homeport.locking.proof_file import StateKey, read_proof, write_proof
from homeport.locking.verification import NotVerified, Verification
from homeport.progress import CancelToken
from homeport.recipe.catalog import lock_command
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.lock.reading import StoredLock
from homeport.recipe.model import Recipe


def verify(
    found: StoredLock, recipe: Recipe, cancel: CancelToken, now: datetime | None = None
) -> Verification:
    """Compare a lockfile with the proof beside it. Raises ``NotVerified``."""
    verification = _from_proof(found, recipe, cancel, now)
    if verification.missing:
        raise NotVerified(
            f"cannot verify {found.path} completely: no proof covers "
            f"{'; '.join(verification.missing)}",
            where={"file": str(found.path)},
            hint="its other packages are verified; review the changes of these",
        )
    return verification


def _from_proof(
    found: StoredLock, recipe: Recipe, cancel: CancelToken, now: datetime | None = None
) -> Verification:
    """What the proof beside a lockfile shows. Raises ``NotVerified``."""
    path = proof_path(found.path)
    if not path.is_file():
        raise NotVerified(
            f"cannot verify {found.path}: no {path.name} beside it",
            where={"file": str(found.path)},
            hint=f"compare with the archives: {lock_command(recipe.path)} --verify --online; "
            f"write a proof: {lock_command(recipe.path)}",
        )
    specs = suite_specs(recipe)
    try:
        evidence = read_proof(path, specs, locked_names(found.lockfile), cancel)
    except CannotRead:
        raise
    except HomeportError as error:
        raise NotVerified(
            f"{path} is not a valid proof: {error.what}", where=error.where, hint=error.hint
        ) from error
    verdict = compare(found.lockfile, evidence, now or datetime.now(UTC))
    if verdict.problems:
        raise _differs(found, recipe, verdict)
    if verdict.missing:
        raise NotVerified(
            f"cannot verify {found.path}: {path.name} does not contain "
            f"{'; '.join(verdict.missing)}",
            where={"file": str(found.path)},
            hint="the proof is of another lockfile: commit both as homeport lock writes them",
        )
    return Verification(
        lockfile=found.path,
        evidence=None if verdict.uncovered else "proof",
        packages=verdict.packages,
        missing=verdict.uncovered,
        ended=verdict.ended,
    )


def verify_from_archive(found: StoredLock, recipe: Recipe, access: ArchiveAccess) -> Verification:
    """Compare a lockfile with its recorded states, fetched again. Raises ``NotVerified``."""
    store = access.runtime.store
    candidates: dict[StateKey, Candidate] = {}
    errors: list[HomeportError] = []
    for wanted in _former_states(found.lockfile, suite_specs(recipe)):
        candidate, failed = find_former_state(wanted, access.mirrors, access.runtime)
        errors += failed
        if candidate is not None:
            candidates[wanted.spec.archive, wanted.spec.suite, wanted.digest] = candidate
    evidence = evidence_of(found.lockfile, candidates, store)
    verdict = compare(found.lockfile, evidence, datetime.now(UTC))
    if verdict.problems:
        raise _differs(found, recipe, verdict)
    if missing := (*verdict.missing, *verdict.uncovered):
        raise NotVerified(
            f"cannot verify {found.path}: neither a mirror nor a snapshot archive has "
            f"{'; '.join(missing)}",
            where={"file": str(found.path)},
            hint=errors[-1].what if errors else None,
        )
    return Verification(
        lockfile=found.path, evidence="archive", packages=verdict.packages, ended=verdict.ended
    )


def _former_states(lockfile: Lockfile, specs: Iterable[SuiteSpec]) -> Iterator[FormerState]:
    needed = needed_states(lockfile)
    dates = {
        (suite.archive, suite.suite, suite.release): suite.date
        for lock in all_locks(lockfile)
        for suite in lock.archives
    }
    for spec in specs:
        for key, architectures in needed.items():
            if key[:2] == (spec.archive, spec.suite):
                yield FormerState(
                    spec=spec, digest=key[2], date=dates[key], architectures=architectures
                )


def verify_offline(
    found: StoredLock, recipe: Recipe, store: Store, cancel: CancelToken
) -> Verification:
    """Compare a lockfile with the cache, or else with its proof. Raises ``NotVerified``."""
    evidence = cached_evidence(found.lockfile, suite_specs(recipe), store)
    verdict = compare(found.lockfile, evidence, datetime.now(UTC))
    if verdict.problems:
        raise _differs(found, recipe, verdict)
    if verdict.verified:
        return Verification(
            lockfile=found.path, evidence="cache", packages=verdict.packages, ended=verdict.ended
        )
    if proof_path(found.path).is_file():
        return _from_proof(found, recipe, cancel)
    missing = (*verdict.missing, *verdict.uncovered)
    return Verification(lockfile=found.path, evidence=None, missing=missing)


def restored(found: StoredLock, recipe: Recipe, store: Store, cancel: CancelToken) -> Lockfile:
    """The lockfile with each file as the signed index describes it, where it does otherwise.

    Evidence is the proof beside it, or else the cache; without any, the lockfile itself.
    """

    specs = suite_specs(recipe)
    evidence = cached_evidence(found.lockfile, specs, store)
    verdict = compare(found.lockfile, evidence, datetime.now(UTC))
    path = proof_path(found.path)
    if verdict.missing and path.is_file():
        try:
            evidence = read_proof(path, specs, locked_names(found.lockfile), cancel)
        except HomeportError:
            return found.lockfile  # a new proof is written in its place
        verdict = compare(found.lockfile, evidence, datetime.now(UTC))
    return corrected(found.lockfile, verdict.corrections)


def save_proof(lockfile: Lockfile, path: Path, recipe: Recipe, store: Store) -> bool:
    """Write the proof of a lockfile from the cache; ``False`` if the cache lacks something."""

    needed = needed_states(lockfile)
    candidates = cached_candidates(lockfile, suite_specs(recipe), store)
    if candidates.keys() != needed.keys():
        return False
    states = {key: (candidates[key], architectures) for key, architectures in needed.items()}
    return write_proof(proof_path(path), states, store)


def _differs(found: StoredLock, recipe: Recipe, verdict: LockVerdict) -> NotVerified:
    command = lock_command(recipe.path)
    repair = f"restore the signed values: {command}"
    if len(verdict.corrections) < len(verdict.problems):
        repair = f"lock again: {command} --update all"
    return NotVerified(
        f"{found.path} differs from the signed archive: {verdict.problem_text()}",
        where={"file": str(found.path)},
        hint=f"find out who changed it; {repair}",
    )
