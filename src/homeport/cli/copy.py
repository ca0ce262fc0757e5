"""``homeport copy``: ADD and COPY on directories of this machine."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from homeport.app import App
from homeport.budget import Budget
from homeport.cli.options import Session, common
from homeport.content.files import read_input
from homeport.copying.codecs import OPENERS
from homeport.copying.command import Flags, copy
from homeport.copying.context import Context
from homeport.copying.dry_run import DryRun
from homeport.copying.errors import CopyError, shown
from homeport.copying.filesystem import Filesystem
from homeport.copying.ignore import Ignore, read
from homeport.copying.rooted import Rooted
from homeport.copying.rules import rule_set
from homeport.copying.sources import CopySource
from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.quantities import human_size, parse_size
from homeport.tree.decompression import decoded

#: Options whose mistakes are mistakes of the command line.
_OPTIONS = ("--chmod", "--chown", "--exclude", "--rules")
_IGNORE_LIMIT = 4 << 20  # bytes, as in a build
_PLURALS = {"directory": "directories", "fifo": "FIFOs", "replaced": "replaced"}


class CannotCopy(HomeportError):
    """The COPY engine stopped."""

    id = "copy"


class Report(msgspec.Struct):
    """What was made, as the engine tells it."""

    step: Callable[[], None]
    keep: bool
    kinds: Counter[str] = msgspec.field(default_factory=Counter)
    entries: list[dict[str, str]] = msgspec.field(default_factory=list)

    def __call__(self, path: bytes, kind: str) -> None:
        self.step()
        self.kinds[kind] += 1
        if self.keep:
            self.entries.append({"path": shown(path, 4096), "kind": kind})


@click.command(
    name="copy",
    epilog="""\b
Examples:
  homeport copy 'src/*.py' README.md app/ --root rootfs
  homeport copy --add release.tar.gz /opt/ --root rootfs --chown 0:0
  homeport copy . /srv/ --root rootfs --ignore-file .dockerignore --dry-run
""",
)
@click.argument("words", metavar="SRC... DEST", nargs=-1, required=True, type=click.Path())
@click.option(
    "--root", type=click.Path(file_okay=False, exists=True, path_type=Path), default=".",
    metavar="DIR", help="Root of the destination; DEST and all links on the way stay inside it."
    "  [default: the working directory]",
)  # fmt: skip
@click.option(
    "--context", type=click.Path(file_okay=False, exists=True, path_type=Path), default=".",
    metavar="DIR", help="Root of the sources.  [default: the working directory]",
)  # fmt: skip
@click.option(
    "--ignore-file", type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE",
    help="Hide what this file ignores, in the format of .dockerignore.",
)  # fmt: skip
@click.option(
    "--chown",
    metavar="USER[:GROUP]",
    help="Set the owner; names are looked up in the root's /etc/passwd and /etc/group.",
)
@click.option("--chmod", metavar="MODE", help="Set the mode: octal, or as in u=rwX,go=rX.")
@click.option("--add", is_flag=True, help="Follow the rules of ADD; the same as --unpack.")
@click.option(
    "--unpack/--no-unpack",
    default=None,
    help="Unpack tar archives, recognised by content.  [default: --no-unpack]",
)
@click.option(
    "--parents", is_flag=True, help="Keep the directories of SRC, those after /./ if SRC has it."
)
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out matching paths. Repeatable."
)
@click.option(
    "--link", is_flag=True, help="Copy as a separate layer does: no link in DEST is followed."
)
@click.option(
    "--rules", type=click.Choice(["current", "old"]), default="current", show_default=True,
    help="Rules of current BuildKit, or of the dockerfile-copy image.",
)  # fmt: skip
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Stop when more bytes would be written, such as 1GiB.  [default: no limit]",
)
@click.option("--dry-run", is_flag=True, help="Show what would be written; change nothing.")
@common
def command(
    session: Session,
    words: tuple[str, ...],
    *,
    root: Path,
    context: Path,
    ignore_file: Path | None,
    chown: str | None,
    chmod: str | None,
    add: bool,
    unpack: bool | None,
    parents: bool,
    exclude: tuple[str, ...],
    link: bool,
    rules: str,
    max_size: str | None,
    dry_run: bool,
) -> None:
    """Copy files on this machine by the rules of COPY and ADD.

    Patterns, destinations, owners and links follow the rules of a Dockerfile. SRC is below
    the --context directory, DEST below --root, also with a leading slash. Links cannot lead
    out of either.
    """
    if len(words) < 2:
        raise UsageError("copy requires at least one SRC and a DEST", hint="homeport copy --help")
    with session.app() as app:
        report = Report(_stepper(app), keep=dry_run or session.verbose > 0)
        flags = Flags(
            chown=os.fsencode(chown or ""),
            chmod=chmod or "",
            parents=parents,
            exclude=tuple(map(os.fsencode, exclude)),
            link=link,
            unpack=_openers() if (add if unpack is None else unpack) else None,
            rules=rule_set(rules),
            max_size=parse_size(max_size) if max_size else None,
            report=report,
        )
        try:
            sources = _sources(app, context, ignore_file)
            written = _run(app, words, flags, sources, root=root, dry_run=dry_run)
        except CopyError as error:
            raise mapped(error) from error
        except OSError as error:
            raise CannotCopy(error.strerror or str(error)) from error

        session.output.write(
            {
                "schema": "homeport-copy/v1",
                "dry_run": dry_run,
                "bytes": written,
                "made": dict(sorted(report.kinds.items())),
                "entries": report.entries,
            },
            _text(report, written, dry_run),
            quiet_text="",
        )


def _stepper(app: App) -> Callable[[], None]:
    def step() -> None:
        app.runtime.cancel.check()
        app.runtime.progress.advance("copy", 1)

    return step


def _sources(app: App, context: Path, ignore_file: Path | None) -> Filesystem:
    filesystem: Filesystem = Rooted(os.fsencode(context), check=app.runtime.cancel.check)
    if ignore_file is not None:
        name = str(ignore_file)
        patterns = read(read_input(ignore_file, _IGNORE_LIMIT, name), name)
        filesystem = Context(filesystem, Ignore(patterns, Budget(name).steps))
    return filesystem


def _run(
    app: App,
    words: tuple[str, ...],
    flags: Flags,
    sources: Filesystem,
    *,
    root: Path,
    dry_run: bool,
) -> int:
    def warn(text: str) -> None:
        app.runtime.progress.note("copy", f"warning: {text}")

    # Owners that were asked for are set or an error; those of sources only if we may.
    owners = True if flags.chown else None
    real = Rooted(os.fsencode(root), owners, warn, app.runtime.cancel.check)
    target: Filesystem = DryRun(real) if dry_run else real
    app.runtime.progress.begin("copy", label="copy", unit="items")
    try:
        found = [CopySource(sources, os.fsencode(word)) for word in words[:-1]]
        return copy(found, target, os.fsencode(words[-1]), flags)
    finally:
        app.runtime.progress.end("copy")  # why it failed is the one line that the error takes
        real.close()


def mapped(error: CopyError) -> HomeportError:
    """The engine's error as ours: a mistake of the command line is one of usage."""
    kind = UsageError if error.where.get("option") in _OPTIONS else CannotCopy
    hint = error.hint or None
    cause = error.__cause__
    if hint is None and isinstance(cause, OSError) and cause.errno == errno.EPERM:
        hint = "run as root: setting owners and creating devices requires it"
    return kind(error.what, where=error.where, hint=hint)


def _openers() -> dict[str, Any]:
    """The engine's own decompressors, but of zstd ours: not every machine has its library."""
    return {**OPENERS, "zstd": _Zstd}


class _Zstd:
    """Frames of zstd as the engine reads them: its stream is not ours to close."""

    def __init__(self, stream: Any) -> None:
        self._reader = decoded(stream, "zstd", "zstd data", padded=False)

    def read(self, size: int, /) -> bytes:
        try:
            return self._reader.read(size)
        except IntegrityError as error:
            raise CopyError(str(error)) from error


def _text(report: Report, written: int, dry_run: bool) -> str:
    lines = [f"{entry['kind']:<10} {entry['path']}" for entry in report.entries]
    made = ", ".join(
        f"{count} {kind if count == 1 else _PLURALS.get(kind, kind + 's')}"
        for kind, count in sorted(report.kinds.items())
    )
    verb = "would write" if dry_run else "wrote"
    lines.append(f"{verb} {made or 'nothing'} ({human_size(written)})")
    return "\n".join(lines)
