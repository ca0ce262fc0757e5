"""Reading a tree: every use of an image that its files name, and every cause of a pull.

Files are read one by one and independently; what needs several of them (named contexts,
build arguments, images that are built here) is settled at the end. Not for what causes
pull (``audit.rules``), nor for judging (``audit.report``).
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.audit.model import Cause, ExternalConfig, Unread, Use
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import BuildCall, Context, resolve
from homeport.audit.reading.embedded import TEMPLATE_SUFFIX, has_tags, read_masked
from homeport.audit.reading.programs import with_programs
from homeport.audit.reading.tree_files import NotReadable, TooLarge
from homeport.audit.scan import cross_file
from homeport.audit.scan.file_types import KINDS, Gate, Kind, kinds_of, reader_of
from homeport.audit.scan.walk import walk
from homeport.audit.source import Source
from homeport.budget import LimitExceeded

_BINARY = b"\0"


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What a tree contains, in order of files and places."""

    uses: tuple[Use, ...]
    causes: tuple[Cause, ...]
    unread: tuple[Unread, ...]
    external: tuple[ExternalConfig, ...]
    files: int
    read: int


def scan(
    paths: Sequence[str | Path],
    *,
    root: Path | None = None,
    exclude: Sequence[str] = (),
    programs: Iterable[str] = (),
    edited: Mapping[str, bytes] | None = None,
    check: Callable[[], None] = lambda: None,
) -> Scan:
    """Read every path.

    exclude:   patterns of paths that are left out; ``*`` matches ``/`` too
    programs:  whose commands are causes too, beside those that are always read
    edited:    files as they would be, instead of those on disk
    check:     called between files, may raise to stop
    """
    root = (root or Path.cwd()).absolute()
    context = Context(root, with_programs(programs), edited or {})
    unread: list[Unread] = []
    collectors: dict[str, Collector] = {}
    count = 0

    def complain(path: str, why: str) -> None:
        unread.append(Unread(file=path, what=why))

    for path in _files(paths, root, complain):
        check()
        if any(fnmatch.fnmatchcase(path, pattern) for pattern in exclude):
            continue
        count += 1
        if path in collectors:
            continue
        collector = _read(path, context, complain)
        if collector is not None:
            collectors[path] = collector
    _read_named(collectors, context)
    for collector in collectors.values():
        for path, names in collector.contexts:
            if (named := resolve(collector.source, path)) is not None:
                context.calls.append(
                    BuildCall(
                        dockerfile=named, args={}, contexts=names, kind=collector.kind, key=""
                    )
                )
    cross_file.link(collectors, context)
    done = [collectors[path] for path in sorted(collectors)]
    return Scan(
        uses=tuple(u for c in done for u in sorted(c.uses, key=lambda u: u.place)),
        causes=tuple(cause for c in done for cause in c.causes),
        unread=tuple(unread) + tuple(u for c in done for u in c.unread),
        external=tuple(e for c in done for e in sorted(c.external, key=lambda e: e.place)),
        files=count, read=len(collectors),
    )  # fmt: skip


def _read_named(collectors: dict[str, Collector], context: Context) -> None:
    """Read files that others name as theirs, and those that these name."""
    waiting = [named for collector in collectors.values() for named in collector.named]
    while waiting:
        path, kind = waiting.pop()
        if path not in collectors and (source := context.neighbour(Source("", b""), path)):
            collectors[path] = read_as(source, context, kind)
            waiting += collectors[path].named


def read_source(source: Source, context: Context) -> Collector | None:
    """Read one file as its name and bytes suggest, or not at all."""
    return _read_candidates(source, context, kinds_of(source.path, context.programs))


def _read_candidates(
    source: Source, context: Context, candidates: Sequence[tuple[Kind, Gate]]
) -> Collector | None:
    """What the first kind that fits finds, and those that are read beside any other."""
    first: Collector | None = None
    lowered = source.data.lower()
    for kind, gate in candidates:
        if first is not None and not kind.beside:
            continue
        if gate.admits(source.data, lowered):
            found = _apply(kind, source, context)
            if first is None:
                first = found
            else:
                first.absorb(found)
    return first


def read_as(source: Source, context: Context, name: str) -> Collector:
    """Read one file as a given kind."""
    return _apply(next(kind for kind in KINDS if kind.name == name), source, context)


def _apply(kind: Kind, source: Source, context: Context) -> Collector:
    def read(text: Source, found: Collector) -> None:
        reader_of(kind)(text, found, context)

    collector = Collector(source, kind.name, context.programs)
    try:
        read(source, collector)
        templated = collector.unread or TEMPLATE_SUFFIX.search(source.path)
        if kind.template and templated and has_tags(source):
            # A template of a document is not one itself; what is literal in it counts.
            masked = Collector(source, kind.name, context.programs)
            read_masked(source, masked, read)
            return masked
    except RecursionError:
        collector.fault("nested too deep")
    except LimitExceeded as error:
        collector.exceeded(error)
    return collector


def _files(
    paths: Sequence[str | Path], root: Path, complain: Callable[[str, str], None]
) -> Iterable[str]:
    for path in paths:
        absolute = Path(os.path.normpath(root / path))
        start = os.path.relpath(absolute, root)
        yield from walk(root, start.replace(os.sep, "/"), complain)


def _read(path: str, context: Context, complain: Callable[[str, str], None]) -> Collector | None:
    candidates = kinds_of(path, context.programs)
    if not candidates:
        return None
    try:
        data = context.read(path)
    except NotReadable as error:
        # Archives and images are large too: that matters only of a file whose name is a kind's.
        if not isinstance(error, TooLarge) or any(kind.by_name for kind, _ in candidates):
            complain(path, str(error))
        return None
    if _BINARY in data[:8192]:
        return None
    return _read_candidates(Source(path, data), context, candidates)
