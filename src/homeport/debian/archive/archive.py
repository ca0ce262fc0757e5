"""Opening archives: for every suite the newest state that is whole for all architectures.

A mirror may be in the middle of an update, so that its release file is ahead of some of
its indexes, for days on end. One image index must not mix states, so a state qualifies
only if every wanted architecture has it. The search starts at the user's first mirror,
then tries the suite's other names and the other mirrors, newest first. The state taken and
the newer ones passed over are reported and recorded. A state that is unverified, expired or
older than the last one used is never taken: the error lists the alternatives
(``debian.archive.release_errors``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from homeport.content.thread_pools import run_all
from homeport.debian.archive.index_fetch import CompleteState, IncompleteState
from homeport.debian.archive.mirror_list import Mirrors
from homeport.debian.archive.release_errors import no_state_error
from homeport.debian.archive.release_search import (
    SearchContext,
    SuiteSearch,
    check_all_states,
    failed_search,
    find_state,
    note_seen,
    read_first_release,
    validity,
)
from homeport.debian.archive.state import (
    ArchiveState,
    NewerState,
    SuiteDates,
    SuiteSpec,
    SuiteState,
    age,
    format_as_of,
)
from homeport.debian.archive.state_cache import record_state
from homeport.debian.index.index import MergedIndex
from homeport.debian.index.known_names import remember_names
from homeport.errors import UsageError
from homeport.runtime import Runtime

_ID = "archives"  # of the progress


def open_archives(
    specs: Sequence[SuiteSpec],
    architectures: Sequence[str],
    *,
    mirrors: Mirrors,
    runtime: Runtime,
    as_of: datetime | None = None,
    offline: bool = False,
    not_before: SuiteDates | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    command: str = "the same command",
) -> ArchiveState:
    """One complete state of every suite, with its indexes opened.

    as_of:   judge validity at this moment and take nothing newer
    not_before:   dates that were used before (from a lockfile); without one for a suite, those
             that the cache has recorded
    command: what the user typed, for errors that print the command to use instead

    Raises ``NoCompleteState``, ``Expired``, ``RolledBack``, ``BadSignature``, ``NetError`` …
    """
    runtime.progress.begin(_ID, label="archives")
    context = SearchContext(
        specs=tuple(specs),
        architectures=tuple(architectures),
        mirrors=mirrors,
        runtime=runtime,
        now=clock(),
        as_of=as_of,
        offline=offline,
        not_before=not_before or {},
    )
    try:
        _check_moment(context)
        state = _open(context, command)
    except BaseException:
        runtime.progress.end(_ID, "failed")
        raise
    runtime.progress.end(_ID)
    return state


def describe(suite: SuiteState, now: datetime) -> list[str]:
    """The state taken, its age and newer states, as lines of text."""
    name = " ".join(part for part in (suite.codename or suite.suite, suite.version) if part)
    lines = [f"{name} of {suite.date:%Y-%m-%d}, {age(suite.date, now)}, from {suite.read_from}"]
    for newer in suite.newer:
        lines.append(
            f"  not the one of {newer.date:%Y-%m-%d} in {newer.read_from}: {newer.why_not}"
        )
    return lines


def _check_moment(context: SearchContext) -> None:
    """Today as a date means its end, which may be ahead; any later day is an error."""
    if context.as_of is not None and context.as_of.date() > context.now.astimezone(UTC).date():
        raise UsageError(
            f"--as-of {format_as_of(context.as_of)} is in the future",
            hint=f"today is {context.now.astimezone(UTC):%Y-%m-%d}, by this machine's clock",
        )


def _open(context: SearchContext, command: str) -> ArchiveState:
    searches = run_all(
        context.runtime.pools.network,
        [partial(read_first_release, context, spec) for spec in context.specs],
    )
    searches = [find_state(context, search) for search in searches]
    taken = [search.taken for search in searches if search.taken is not None]
    if len(taken) < len(searches):
        for search in searches:
            check_all_states(context, search)
        raise no_state_error(
            [failed_search(context, search) for search in searches],
            now=context.now,
            command=command,
        )
    for complete in taken:
        record_state(context.runtime.store, complete.candidate)
        note_seen(context, complete)
    state = ArchiveState(
        suites=tuple(
            _suite_state(context, search, search.taken) for search in searches if search.taken
        ),
        indexes={
            architecture: MergedIndex(
                architecture, [part for complete in taken for part in complete.parts(architecture)]
            )
            for architecture in context.architectures
        },
        as_of=context.as_of,
    )
    if first := next(iter(state.indexes.values()), None):
        remember_names(first, context.runtime.store)
    for suite in state.suites:
        for line in describe(suite, context.now):
            context.runtime.progress.note(_ID, line)
    return state


def _suite_state(context: SearchContext, search: SuiteSearch, taken: CompleteState) -> SuiteState:
    candidate, release = taken.candidate, taken.candidate.release
    newer = []
    for other in search.newest_first:
        if other.release.date <= release.date:
            break
        outcome = search.outcomes.get(other.digest)
        why = validity(context, other) or (
            outcome.error if isinstance(outcome, IncompleteState) else None
        )
        newer.append(
            NewerState(
                date=other.release.date,
                read_from=other.location.label,
                why_not=why.what if why else "it was found later",
            )
        )
    return SuiteState(
        archive=search.spec.archive,
        suite=search.spec.suite,
        read_as=candidate.location.folder,
        read_from=candidate.location.label,
        codename=release.codename,
        version=release.version,
        date=release.date,
        valid_until=release.valid_until,
        release=candidate.digest,
        signers=candidate.signers,
        not_automatic=release.not_automatic,
        newer=tuple(newer),
    )
