"""Fetching packages by their hash, from any location that still has them.

Debian deletes old versions from its pool at every point release. A locked package is
looked for on the configured mirrors, then, if it came from the security archive, where the
main archive keeps it after a point release, then in archives of former states. The
digest is known, so any location will do. Not for resolving
(``debian.resolution.resolve``) nor for opening packages (``debian.deb``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import msgspec

from homeport.content.blob import Blob
from homeport.content.thread_pools import Pool, run_all
from homeport.debian.archive.index_fetch import NotCached
from homeport.debian.archive.keyring import DEBIAN, DEBIAN_SECURITY
from homeport.debian.archive.mirror import (
    MIRROR_ERRORS,
    ExpectedFile,
    Mirror,
    NotOnMirror,
)
from homeport.debian.archive.mirror_list import SNAPSHOT_LAG, Mirrors
from homeport.debian.package import PackageFile
from homeport.errors import HomeportError
from homeport.quantities import counted
from homeport.runtime import Runtime

_SECURITY_POOL = "pool/updates/"
_SHOWN = 3  # packages in a message

#: Archive → when it had the packages.
Dates = Mapping[str, datetime]


class PackageGone(HomeportError):
    """No mirror and no snapshot archive has these ``files`` any more."""

    id = "package-gone"

    def __init__(self, files: Sequence[PackageFile], tried: Iterable[str], *, hint: str) -> None:
        names = ", ".join(str(file.id) for file in files[:_SHOWN])
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        locations = ", ".join(dict.fromkeys(tried)) or "every mirror"
        first = files[0]
        super().__init__(
            f"{names}{more} {'is' if len(files) == 1 else 'are'} gone from {locations}",
            where={"package": str(first.id), "digest": str(first.sha256), "file": first.path},
            hint=hint,
        )
        self.files = tuple(files)


class _Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A package that has not been found so far.

    tried:    labels of the mirrors that were asked
    first_error:  of the first mirror that did not answer; it may have the package
    snapshot_errors:  errors of snapshot archives
    """

    file: PackageFile
    tried: tuple[str, ...]
    first_error: HomeportError | None = None
    snapshot_errors: tuple[str, ...] = ()


_Ask = Callable[[_Missing], Blob | _Missing]
#: Called with each package once it is verified and in the store, on a thread of the pool.
OnFound = Callable[[PackageFile, Blob], None]
_PROGRESS = "packages"


def fetch_packages(
    files: Iterable[PackageFile],
    *,
    mirrors: Mirrors,
    runtime: Runtime,
    dates: Dates | None = None,
    offline: bool = False,
    on_found: OnFound | None = None,
) -> dict[PackageFile, Blob]:
    """All these packages, verified and in the store, several at once, the largest first.

    dates:    of an archive that has none, former states are not asked for
    on_found: learns of each at once, so that it can be read while others are fetched

    Raises ``PackageGone`` if every mirror answered that it does not have one of them,
    whether or not archives of former states can be reached; if a mirror did not answer, its
    ``NetError`` or ``IntegrityError``; ``NotCached`` offline.
    """
    expected = [_Missing(file=file, tried=()) for file in dict.fromkeys(files)]
    with _shown([package.file for package in expected], runtime) as advance:

        def told(package: _Missing, answer: Blob | _Missing) -> Blob | _Missing:
            if not isinstance(answer, _Missing):
                advance(package.file)
                if on_found is not None:
                    on_found(package.file, answer)
            return answer

        def on_mirrors(package: _Missing) -> Blob | _Missing:
            if offline and not mirrors.of(package.file.archive):
                return told(package, _from_cache(package, runtime=runtime))
            return told(package, _from_mirrors(package, mirrors=mirrors, runtime=runtime))

        def from_snapshots(package: _Missing) -> Blob | _Missing:
            return told(
                package,
                _from_snapshots(package, mirrors=mirrors, runtime=runtime, dates=dates or {}),
            )

        found = _found(expected, on_mirrors, from_snapshots, runtime.pools.network)
    return {package.file: found[package.file] for package in expected}


@contextmanager
def _shown(
    files: Sequence[PackageFile], runtime: Runtime
) -> Iterator[Callable[[PackageFile], None]]:
    """One line of progress for all packages, if some are to be fetched."""
    progress = runtime.progress
    lacking = [file for file in files if runtime.store.get(file.sha256, file.size) is None]
    if len(lacking) <= 1:  # its own line shows it
        yield lambda file: None
        return
    text = f"fetch {counted(len(lacking), 'package')}"
    wanted = {file.sha256 for file in lacking}
    progress.begin(_PROGRESS, label=text, total=sum(file.size for file in lacking), unit="bytes")
    ended = False

    def advance(file: PackageFile) -> None:
        if file.sha256 in wanted:
            progress.advance(_PROGRESS, file.size)

    try:
        yield advance
        ended = True
    finally:
        progress.end(_PROGRESS, "done" if ended else "failed")


def _found(
    expected: Sequence[_Missing], on_mirrors: _Ask, from_snapshots: _Ask, network: Pool
) -> dict[PackageFile, Blob]:
    """Every package. Raises as ``fetch_packages``."""
    found, missing = _ask_all(on_mirrors, expected, network)
    # Mostly many are gone at once. One that no snapshot archive has is enough to fail, so
    # that one is tried before the others are downloaded.
    for some, others in ((missing[:1], missing[1:]), (missing[1:], [])):
        more, lacking = _ask_all(from_snapshots, some, network)
        found |= more
        for lack in lacking:
            if lack.first_error is not None:
                raise lack.first_error
        if lacking:
            raise _gone([*lacking, *(other for other in others if other.first_error is None)])
    return found


def _ask_all(
    ask: _Ask, packages: Sequence[_Missing], network: Pool
) -> tuple[dict[PackageFile, Blob], list[_Missing]]:
    """What was found, and what was not, in the order of ``packages``."""
    found: dict[PackageFile, Blob] = {}
    missing: list[_Missing] = []
    # Large packages first: the last one running is then a small one.
    order = sorted(range(len(packages)), key=lambda number: -packages[number].file.size)
    answers = run_all(network, [partial(ask, packages[number]) for number in order])
    for number, answer in sorted(zip(order, answers, strict=True), key=lambda pair: pair[0]):
        package = packages[number]
        if isinstance(answer, _Missing):
            missing.append(answer)
        else:
            found[package.file] = answer
    return found, missing


def _from_cache(package: _Missing, *, runtime: Runtime) -> Blob:
    file = package.file
    found = runtime.store.get(file.sha256, file.size)
    if found is None:
        raise NotCached(
            f"the cache does not have {file.id}",
            where={"package": str(file.id)},
            hint="run the command once without --offline",
        )
    return found


def _from_mirrors(package: _Missing, *, mirrors: Mirrors, runtime: Runtime) -> Blob | _Missing:
    file = package.file
    found = runtime.store.get(file.sha256, file.size)
    if found is not None:
        return found
    tried: list[str] = []
    first_error: HomeportError | None = None
    for mirror, expected in _locations(file, mirrors):
        runtime.cancel.check()
        try:
            return mirror.fetch(expected, runtime)
        except NotOnMirror:
            pass
        except MIRROR_ERRORS as error:
            error.hint = error.hint or "run it again, or use another mirror: --mirror URL"
            first_error = first_error or error.at(package=str(file.id), mirror=mirror.label)
        tried.append(mirror.label)
    return _Missing(file=file, tried=tuple(tried), first_error=first_error)


def _from_snapshots(
    package: _Missing, *, mirrors: Mirrors, runtime: Runtime, dates: Dates
) -> Blob | _Missing:
    file = package.file
    tried, snapshot_errors = list(package.tried), list(package.snapshot_errors)
    if file.archive in dates:
        date = dates[file.archive]
        for states in mirrors.snapshot_mirrors(file.archive, date, date + SNAPSHOT_LAG):
            tried.append(states[0].label)
            for mirror in states:
                runtime.cancel.check()
                try:
                    return mirror.fetch(_wanted(file, file.path), runtime)
                except NotOnMirror:
                    continue
                except MIRROR_ERRORS as error:
                    snapshot_errors.append(error.what)
                    break  # a request for another moment would fail too
    return msgspec.structs.replace(
        package, tried=tuple(tried), snapshot_errors=tuple(snapshot_errors)
    )


def _locations(file: PackageFile, mirrors: Mirrors) -> Iterator[tuple[Mirror, ExpectedFile]]:
    for mirror in mirrors.of(file.archive):
        yield mirror, _wanted(file, file.path)
    if file.archive == DEBIAN_SECURITY and file.path.startswith(_SECURITY_POOL):
        # A point release takes security updates over, unchanged.
        moved = f"pool/{file.path.removeprefix(_SECURITY_POOL)}"
        for mirror in mirrors.of(DEBIAN):
            yield mirror, _wanted(file, moved)


def _wanted(file: PackageFile, path: str) -> ExpectedFile:
    return ExpectedFile(path=path, digest=file.sha256, size=file.size, label=str(file.id))


def _gone(lacking: Sequence[_Missing]) -> PackageGone:
    snapshot_errors = dict.fromkeys(what for lack in lacking for what in lack.snapshot_errors)
    return PackageGone(
        [lack.file for lack in lacking],
        [label for lack in lacking for label in lack.tried],
        hint="; ".join(["lock again to take the current version", *snapshot_errors]),
    )
