"""Fetching the indexes of one state from every location that may have them.

An index is looked for by its hash and by its name, in each form that the release file
lists, first where the release was found, then under the suite's other names and on
other mirrors: its digest is known, so any location will do. Fetching runs on the network
pool, unpacking on the processor pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

import msgspec

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.thread_pools import Batch, run_all
from homeport.debian.archive.mirror import (
    MIRROR_ERRORS,
    ExpectedFile,
    Mirror,
    NotOnMirror,
    is_unresponsive,
)
from homeport.debian.archive.release import index_files, plain_digest
from homeport.debian.archive.release_candidates import Candidate, SuiteLocation, path_in
from homeport.debian.index.index import (
    IndexPart,
    PackedIndex,
    index_digest,
    open_index,
    pack_index,
)
from homeport.debian.listed_file import ListedFile
from homeport.errors import HomeportError, IntegrityError
from homeport.runtime import Runtime

T = TypeVar("T")
_Outcome = tuple["IndexTask", T | None, HomeportError | None]


class MidSync(IntegrityError):
    """A mirror's indexes do not belong to its release file: it is being updated right now."""

    id = "mirror-mid-sync"


class NotCached(HomeportError):
    """The cache does not have a file that is needed offline."""

    id = "not-cached"


class IndexTask(msgspec.Struct, frozen=True, kw_only=True):
    """One index that is needed, with the forms that the release file lists."""

    architectures: tuple[str, ...]
    forms: tuple[ListedFile, ...]
    plain: ListedFile | None

    @property
    def digest(self) -> Digest:
        return index_digest(self.forms[0], self.plain)


class CompleteState(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that has all indexes that are needed."""

    candidate: Candidate
    packed: Mapping[Digest, PackedIndex]
    by_architecture: Mapping[str, tuple[Digest, ...]]

    def parts(self, architecture: str) -> tuple[IndexPart, ...]:
        """The indexes for one architecture, in the order of the components."""
        spec = self.candidate.spec
        return tuple(
            IndexPart(packed=self.packed[digest], archive=spec.archive, suite=spec.suite)
            for digest in self.by_architecture[architecture]
        )


class IncompleteState(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate of which some indexes could not be fetched, and why."""

    candidate: Candidate
    architectures: tuple[str, ...]
    error: HomeportError


def index_tasks(candidate: Candidate, architectures: Sequence[str]) -> dict[Digest, IndexTask]:
    """The indexes that all these architectures need. Raises ``BadRelease``."""
    spec, release = candidate.spec, candidate.release
    tasks: dict[Digest, IndexTask] = {}
    for architecture in architectures:
        for component in ("",) if spec.flat else spec.components:
            for forms in index_files(release, component, architecture, flat=spec.flat):
                plain = plain_digest(release, forms[0])
                digest = index_digest(forms[0], plain)
                # Small suites have the same index for several architectures; each of their
                # locations may be the one that the mirror has.
                known = tasks.get(digest)
                tasks[digest] = IndexTask(
                    architectures=(*(known.architectures if known else ()), architecture),
                    forms=(*(known.forms if known else ()), *forms),
                    plain=plain,
                )
    return tasks


def fetch_indexes(
    candidate: Candidate,
    architectures: Sequence[str],
    elsewhere: Sequence[SuiteLocation],
    runtime: Runtime,
) -> CompleteState | IncompleteState:
    """Fetch all indexes of a candidate, or report what is missing.

    Every index is located before the first is fetched: ten megabytes are not worth
    downloading from a mirror that lacks the next ones. Raises ``BadRelease``, and errors
    that no mirror causes (a full disk, an interrupt).
    """
    tasks = index_tasks(candidate, architectures)
    cached = {digest: open_index(digest, runtime.store) for digest in tasks}
    packed = {digest: index for digest, index in cached.items() if index is not None}
    locations = tuple(
        location for location in (candidate.location, *elsewhere) if location.mirror is not None
    )
    asked = [
        partial(_attempt, task, partial(_locate, task, candidate, locations, runtime))
        for digest, task in tasks.items()
        if digest not in packed
    ]
    copies, missing = _split(run_all(runtime.pools.network, asked))
    if not missing:
        fetched, missing = _fetch_and_pack(copies, candidate, runtime)
        packed |= {task.digest: index for task, index in fetched.items()}
    if missing:
        return _incomplete(candidate, tasks.values(), missing)
    return CompleteState(
        candidate=candidate,
        packed=packed,
        by_architecture={
            architecture: tuple(
                digest for digest, task in tasks.items() if architecture in task.architectures
            )
            for architecture in architectures
        },
    )


class _IndexCopies(msgspec.Struct, frozen=True, kw_only=True):
    """Where an index is available: in the cache, or on mirrors, likeliest first."""

    here: tuple[ListedFile, Blob] | None = None
    mirrors: tuple[tuple[ListedFile, Mirror, ExpectedFile], ...] = ()


def _locate(
    task: IndexTask, candidate: Candidate, locations: Sequence[SuiteLocation], runtime: Runtime
) -> _IndexCopies:
    """Where an index is available. Raises ``MidSync`` if nowhere, ``NotCached`` offline."""
    if task.plain is not None and task.plain.size == 0:
        return _IndexCopies(here=(task.plain, BytesBlob(b"")))
    for form in task.forms:
        if (blob := runtime.store.get(form.digest, form.size)) is not None:
            return _IndexCopies(here=(form, blob))
    if not locations:
        raise NotCached(
            f"the cache has no index of {candidate.spec} for {', '.join(task.architectures)}",
            hint="run the command once without --offline",
        )
    copies = list(_copies(task, candidate, locations))
    errors: list[HomeportError] = []
    while copies:
        try:
            if copies[0][1].may_have(copies[0][2]):
                return _IndexCopies(mirrors=tuple(copies))
        except MIRROR_ERRORS as error:
            errors.append(error)
            if is_unresponsive(error):  # its other names for the index will fail too
                copies = [source for source in copies if source[1] is not copies[0][1]]
                continue
        copies.pop(0)
    raise _error_for(task, candidate, errors)


def _copies(
    task: IndexTask, candidate: Candidate, locations: Sequence[SuiteLocation]
) -> Iterator[tuple[ListedFile, Mirror, ExpectedFile]]:
    """Every location of an index. Plain ``Packages`` last: archives list it, none serves it."""
    by_hash = candidate.release.acquire_by_hash
    for location in locations:
        assert location.mirror is not None
        for form in task.forms:
            for path in _paths(form, by_hash=by_hash):
                expected = ExpectedFile(
                    path=path_in(location, path),
                    digest=form.digest,
                    size=form.size,
                    label=f"{candidate.spec} {' '.join(task.architectures)}",
                )
                yield form, location.mirror, expected


def _paths(form: ListedFile, *, by_hash: bool) -> Iterator[str]:
    if by_hash:
        folder, slash, _ = form.path.rpartition("/")
        algorithm = form.digest.algorithm.upper()
        yield f"{folder}{slash}by-hash/{algorithm}/{form.digest.hex}"
    yield form.path


def _fetch(
    task: IndexTask, copies: _IndexCopies, candidate: Candidate, runtime: Runtime
) -> tuple[ListedFile, Blob]:
    """The index, verified, in the first form that could be fetched."""
    if copies.here is not None:
        return copies.here
    errors: list[HomeportError] = []
    unresponsive: list[Mirror] = []
    for form, mirror, expected in copies.mirrors:
        if any(mirror is known for known in unresponsive):
            continue
        try:
            return form, mirror.fetch(expected, runtime)
        except MIRROR_ERRORS as error:
            errors.append(error)
            if is_unresponsive(error):
                unresponsive.append(mirror)
    raise _error_for(task, candidate, errors)


def _fetch_and_pack(
    copies: Mapping[IndexTask, _IndexCopies], candidate: Candidate, runtime: Runtime
) -> tuple[dict[IndexTask, PackedIndex], dict[IndexTask, HomeportError]]:
    """Fetch all, unpacking each as soon as it has arrived."""
    packing: Batch[_Outcome[PackedIndex]] = Batch(runtime.pools.processor)

    def fetch(task: IndexTask, source: _IndexCopies) -> None:
        form, blob = _fetch(task, source, candidate, runtime)
        pack = partial(pack_index, blob, form, task.plain, runtime.store, runtime.cancel)
        packing.start(partial(_attempt, task, pack))

    fetching = [
        partial(_attempt, task, partial(fetch, task, source)) for task, source in copies.items()
    ]
    try:
        _, missing = _split(run_all(runtime.pools.network, fetching))
        packed, broken = _split(packing.results())
    except BaseException:
        packing.drop()
        raise
    return packed, {**missing, **broken}


def _attempt(task: IndexTask, call: Callable[[], T]) -> _Outcome[T]:
    """The result of a task, or a mirror's error; other errors are raised."""
    try:
        return task, call(), None
    except (*MIRROR_ERRORS, NotCached) as error:
        return task, None, error


def _split(
    outcomes: Iterable[_Outcome[T]],
) -> tuple[dict[IndexTask, T], dict[IndexTask, HomeportError]]:
    good: dict[IndexTask, T] = {}
    bad: dict[IndexTask, HomeportError] = {}
    for task, result, error in outcomes:
        if error is None:
            good[task] = cast("T", result)
        else:
            bad[task] = error
    return good, bad


def _error_for(
    task: IndexTask, candidate: Candidate, errors: Sequence[HomeportError]
) -> HomeportError:
    """One error for all the locations where an index was looked for."""
    for error in errors:
        if not isinstance(error, NotOnMirror | IntegrityError):
            return error  # from a mirror that does not answer, nothing about its content is known
    return MidSync(
        f"the index of {', '.join(task.architectures)} does not match "
        f"{candidate.release.title} of {candidate.release.date:%Y-%m-%d %H:%M}: "
        "the mirror is mid-sync",
        where={"mirror": candidate.location.label},
    )


def _incomplete(
    candidate: Candidate,
    tasks: Iterable[IndexTask],
    missing: Mapping[IndexTask, HomeportError],
) -> IncompleteState:
    lacking = [task for task in tasks if task in missing]  # in the order asked for
    architectures = dict.fromkeys(name for task in lacking for name in task.architectures)
    others = [missing[task] for task in lacking if not isinstance(missing[task], MidSync)]
    error = others[0] if others else None
    if error is None:
        error = MidSync(
            f"the indexes of {', '.join(architectures)} do not match "
            f"{candidate.release.title} of {candidate.release.date:%Y-%m-%d %H:%M}: "
            "the mirror is mid-sync",
            where={"mirror": candidate.location.label, "architectures": " ".join(architectures)},
        )
    return IncompleteState(candidate=candidate, architectures=tuple(architectures), error=error)
