"""Whether a lockfile's hashes are those that the archives signed, without the network.

Pure comparison of a lockfile with evidence: verified release files and stanzas of verified
indexes, from a proof (``locking.proof_file``) or from the cache. Keys and release files are
judged at the lockfile's own moment, so that old lockfiles stay valid; keys that have ended
since are named. Not verified: that the newest versions were chosen, slices, local files, and
the results of parts (docs/formats/lockfile.md, "What a lockfile promises").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from homeport.content.store import Store
from homeport.debian.archive.release import Expired, ReleaseNotYetValid, check_dates
from homeport.debian.archive.release_candidates import Candidate
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.archive.state_cache import recorded_states
from homeport.debian.index.index import open_index
from homeport.debian.package import Package, parse_package
from homeport.locking.proof_file import Evidence, StateEvidence, StateKey, tasks_of
from homeport.recipe.local_packages import LOCAL
from homeport.recipe.lock.model import LockedPackage, LockedSuite, Lockfile
from homeport.recipe.platforms import debian_architecture

_SHOWN = 3


class LockVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of one lockfile with the evidence.

    packages:    how many were compared, each file once
    problems:    what differs from the signed text
    missing:     evidence that is not there; without it nothing is proved
    uncovered:   what no proof covers: source packages of parts, local packages
    ended:       keys that signed and have ended since
    corrections: locked packages whose file the signed index describes otherwise
    """

    packages: int = 0
    problems: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    corrections: Mapping[LockedPackage, LockedPackage] = msgspec.field(default_factory=dict)

    @property
    def verified(self) -> bool:
        return not self.problems and not self.missing and not self.uncovered

    def problem_text(self) -> str:
        more = len(self.problems) - _SHOWN
        shown = [*self.problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        return "; ".join(shown)


def all_locks(lockfile: Lockfile) -> tuple[Lockfile, ...]:
    """The lockfile, and those of its parts' build roots."""
    return (lockfile, *(part.root for part in lockfile.parts.values() if part.root is not None))


def locked_names(lockfile: Lockfile) -> frozenset[str]:
    """Names of all locked packages."""
    return frozenset(
        package.name
        for lock in all_locks(lockfile)
        for packages in lock.platforms.values()
        for package in packages
    )


def needed_states(lockfile: Lockfile) -> dict[StateKey, tuple[str, ...]]:
    """Every suite that was consulted, with the architectures that it gave packages for."""
    needed: dict[StateKey, dict[str, None]] = {}
    for lock in all_locks(lockfile):
        keys = {(suite.archive, suite.suite): _key(suite) for suite in lock.archives}
        for key in keys.values():
            needed.setdefault(key, {})
        for architecture, package in _packages(lock):
            state = keys.get((package.file.archive, package.suite))
            if state is not None:
                needed[state][architecture] = None
    return {key: tuple(architectures) for key, architectures in needed.items()}


def cached_candidates(
    lockfile: Lockfile, specs: Iterable[SuiteSpec], store: Store
) -> dict[StateKey, Candidate]:
    """The release files of the lockfile's states that the cache has."""
    needed = needed_states(lockfile)
    found: dict[StateKey, Candidate] = {}
    for spec in specs:
        if any(key[:2] == (spec.archive, spec.suite) for key in needed):
            for candidate in recorded_states(store, spec):
                key = (spec.archive, spec.suite, candidate.digest)
                if key in needed:
                    found[key] = candidate
    return found


def cached_evidence(
    lockfile: Lockfile, specs: Iterable[SuiteSpec], store: Store
) -> dict[StateKey, StateEvidence]:
    """What the cache proves, as far as it has the indexes."""
    return evidence_of(lockfile, cached_candidates(lockfile, specs, store), store)


def evidence_of(
    lockfile: Lockfile, candidates: Mapping[StateKey, Candidate], store: Store
) -> dict[StateKey, StateEvidence]:
    """What these release files prove by the indexes that the cache has."""
    names = locked_names(lockfile)
    needed = needed_states(lockfile)
    return {
        key: StateEvidence(
            candidate=candidate,
            stanzas={
                task.digest: {name: tuple(index.stanzas(name)) for name in names}
                for architecture in needed[key]
                for task in tasks_of(candidate, architecture)
                if (index := open_index(task.digest, store)) is not None
            },
        )
        for key, candidate in candidates.items()
    }


def compare(lockfile: Lockfile, evidence: Evidence, now: datetime) -> LockVerdict:
    """Every hash of the lockfile against the evidence."""
    verdicts = [_compare_one(lock, evidence, now) for lock in all_locks(lockfile)]
    return LockVerdict(
        packages=len(
            {
                package.file
                for lock in all_locks(lockfile)
                for packages in lock.platforms.values()
                for package in packages
            }
        ),
        problems=_unique(problem for verdict in verdicts for problem in verdict.problems),
        missing=_unique(missing for verdict in verdicts for missing in verdict.missing),
        uncovered=tuple(f"the local package {name}" for name in _local(lockfile))
        + tuple(
            f"the source package {source.name} {source.version} of part {name}"
            for name, part in lockfile.parts.items()
            for source in part.sources
        ),
        ended=_unique(ended for verdict in verdicts for ended in verdict.ended),
        corrections={
            wrong: right for verdict in verdicts for wrong, right in verdict.corrections.items()
        },
    )


def corrected(lockfile: Lockfile, corrections: Mapping[LockedPackage, LockedPackage]) -> Lockfile:
    """The lockfile with the files that the signed indexes describe."""
    return msgspec.structs.replace(
        lockfile,
        platforms={
            platform: tuple(corrections.get(package, package) for package in packages)
            for platform, packages in lockfile.platforms.items()
        },
        parts={
            name: msgspec.structs.replace(part, root=corrected(part.root, corrections))
            if part.root is not None
            else part
            for name, part in lockfile.parts.items()
        },
    )


def _compare_one(lock: Lockfile, evidence: Evidence, now: datetime) -> LockVerdict:
    problems: list[str] = []
    missing: list[str] = []
    ended: list[str] = []
    moment = lock.as_of or lock.date
    states: dict[tuple[str, str], StateEvidence] = {}
    for suite in lock.archives:
        state = evidence.get(_key(suite))
        if state is None:
            missing.append(f"the release file of {suite.suite} of {_day(suite.date)}")
            continue
        states[suite.archive, suite.suite] = state
        problems += _suite_problems(suite, state.candidate, moment)
        end = state.candidate.trust_end
        if end is not None and end.date < now:
            ended.append(f"the keys that signed {suite.suite} {end}; judged at {_day(moment)}")
    corrections: dict[LockedPackage, LockedPackage] = {}
    listed = {(suite.archive, suite.suite) for suite in lock.archives}
    for architecture, package in _packages(lock):
        key = (package.file.archive, package.suite)
        if package.file.archive == LOCAL:
            continue  # the lockfile is what vouches for it
        if key not in listed:
            problems.append(f"{package.file.id}: the lockfile records no state of {package.suite}")
        elif key in states:
            found = _signed(package, architecture, states[key])
            if isinstance(found, str):
                missing.append(found)
            else:
                problems += _package_problems(package, found)
                if len(found) == 1 and (right := _as_signed(package, found[0])) != package:
                    corrections[package] = right
    return LockVerdict(
        problems=tuple(problems),
        missing=tuple(missing),
        ended=tuple(ended),
        corrections=corrections,
    )


def _suite_problems(suite: LockedSuite, candidate: Candidate, moment: datetime) -> Iterator[str]:
    release = candidate.release
    if (suite.date, suite.valid_until) != (release.date, release.valid_until):
        yield (
            f"{suite.suite}: the lockfile has the date {_day(suite.date)}, "
            f"the signed release file {_day(release.date)}"
        )
    try:
        check_dates(release, moment)
    except (Expired, ReleaseNotYetValid) as error:
        yield f"{suite.suite}: {error.what}"
    end = candidate.trust_end
    if end is not None and end.date < moment:
        yield f"{suite.suite}: the keys that signed it {end}, before the lock of {_day(moment)}"


def _signed(package: LockedPackage, architecture: str, state: StateEvidence) -> list[Package] | str:
    """The packages of this id in the signed indexes, or which index is missing."""
    found: list[Package] = []
    for task in tasks_of(state.candidate, architecture):
        stanzas = state.stanzas.get(task.digest)
        if stanzas is None:
            return f"the index of {package.suite} for {architecture}"
        for stanza in stanzas.get(package.name, ()):
            each = parse_package(stanza, package.file.archive, package.suite)
            if each.id == package.file.id:
                found.append(each)
    return found


def _package_problems(package: LockedPackage, signed: list[Package]) -> Iterator[str]:
    if not signed:
        yield f"{package.file.id} is not in the signed index of {package.suite}"
    elif all(_as_signed(package, each) != package for each in signed):
        right = signed[0].file
        if right.sha256 != package.file.sha256:
            yield (
                f"{package.file.id}: the lockfile has sha256 {package.file.sha256.hex}, "
                f"the signed index {right.sha256.hex}"
            )
        else:
            yield f"{package.file.id}: size, path or source differ from the signed index"


def _as_signed(package: LockedPackage, signed: Package) -> LockedPackage:
    return msgspec.structs.replace(
        package,
        file=signed.file,
        source_name=signed.source_name,
        source_version=signed.source_version,
    )


def _packages(lock: Lockfile) -> Iterator[tuple[str, LockedPackage]]:
    for platform, packages in lock.platforms.items():
        for package in packages:
            yield debian_architecture(platform), package


def _local(lockfile: Lockfile) -> Iterable[str]:
    return dict.fromkeys(
        str(package.file.id)
        for lock in all_locks(lockfile)
        for _, package in _packages(lock)
        if package.file.archive == LOCAL
    )


def _key(suite: LockedSuite) -> StateKey:
    return suite.archive, suite.suite, suite.release


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
