"""How results and progress look: tables, sizes, JSON, bars on terminals, lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from homeport.cli.screen import OUR_SEQUENCES, PLAIN, Screen, marked, wants_colour
from homeport.errors import HomeportError
from homeport.printable import json_text, output_text, printable
from homeport.progress import Progress, Silent, State, Unit
from homeport.quantities import human_size

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

#: Work shorter than this (seconds) shows nothing: a flash of bars is noise.
SILENCE = 30.0  # seconds after which work that goes on is named on a pipe
PATIENCE = 0.3
_WARNING = "warning: "


class Output:
    """Where a command's one useful result goes: standard output, as text or as JSON."""

    def __init__(self, format: str, *, quiet: bool, screen: Screen = PLAIN) -> None:
        self.format = format
        self.quiet = quiet
        self.screen = screen
        #: Whether standard output has its one document.
        self.written = False

    def write(
        self, document: dict[str, Any], text: str, *, quiet_text: str | None = None,
        beside: bool = False,
    ) -> None:  # fmt: skip
        """Print ``document`` with ``--format json``, else ``text`` (``quiet_text`` with -q).

        beside: standard output is taken by the result itself, so this goes to standard error
        """
        self.written = not beside
        if self.format == "json":
            encoded = msgspec.json.format(msgspec.json.encode(document)).decode()
            self._print(json_text(encoded, sys.stdout.encoding, result=True), beside)
        elif shown := (quiet_text if self.quiet and quiet_text is not None else text):
            self._print(_at_the_border(shown, self.screen), beside)

    def lines(self, lines: Iterable[str]) -> None:
        """Print a text of very many lines, one after the other."""
        for line in lines:
            sys.stdout.write(_at_the_border(line, self.screen) + "\n")

    def write_bytes(self, raw: bytes, document: dict[str, Any], name: str) -> None:
        """Print bytes as they are; or ``document`` and, under ``name``, the JSON that they are.

        On a terminal, what is no text is escaped. Raises ``HomeportError`` if JSON is wanted of
        other bytes.
        """
        if self.format == "json":
            self.write({**document, name: msgspec.Raw(_json(raw, name))}, "")
        elif sys.stdout.isatty():
            self.write_text(raw.decode("utf-8", "backslashreplace"))
        else:
            self.written = True
            sys.stdout.buffer.write(raw)
            sys.stdout.buffer.flush()

    def _print(self, text: str, beside: bool) -> None:
        """Not by click, which writes UTF-8 to a terminal that says it takes ASCII only."""
        stream = sys.stderr if beside else sys.stdout
        stream.write(text + "\n")
        stream.flush()

    def write_text(self, text: str) -> None:
        """Print a document whose form the command's own ``--format`` chose."""
        self.written = True
        self._print(output_text(text, result=True), beside=False)


def _at_the_border(text: str, screen: Screen) -> str:
    """A result as it is written: of escape sequences only those of our own styles are left."""
    if not screen.colour:
        return output_text(text, result=True)
    ours = OUR_SEQUENCES.findall(text)
    others = [output_text(part, result=True) for part in OUR_SEQUENCES.split(text)]
    return "".join(part + own for part, own in zip(others, [*ours, ""], strict=True))


def _json(raw: bytes, name: str) -> bytes:
    """``raw`` if it is JSON, also of an artifact whose config may be anything."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HomeportError(
            f"the {name} is not JSON: {error}", hint="leave out --format json to print its bytes"
        ) from error
    return raw


def progress_for(
    stream: TextIO, *, quiet: bool, live: bool, verbose: int, color: str = "auto"
) -> Progress:
    """The way to report progress that suits ``stream``."""
    if quiet:
        return Silent()
    colour = wants_colour(stream, color)
    if live and stream.isatty() and os.environ.get("TERM") != "dumb":
        return LiveProgress(stream, colour=colour)
    return PlainProgress(stream, verbose=verbose, colour=colour)


class _Work(msgspec.Struct):
    label: str
    parent: str | None
    total: int | None
    unit: Unit
    began: float
    done: int = 0
    told: float = 0


class PlainProgress:
    """One line when a piece of work that took a while ends, and every note at once.

    Some CI systems end a job that prints nothing: work that goes on is named every ``SILENCE``
    seconds.
    """

    def __init__(
        self, stream: TextIO, *, verbose: int = 0, colour: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._stream = stream
        self._colour = colour
        self._verbose = verbose
        self._clock = clock
        self._lock = threading.Lock()
        self._work: dict[str, _Work] = {}
        self._warned: set[str] = set()

    def begin(
        self, id: str, *, parent: str | None = None, label: str = "", total: int | None = None,
        unit: Unit = "",
    ) -> None:  # fmt: skip
        with self._lock:
            now = self._clock()
            self._work[id] = _Work(label or id, parent, total, unit, now, told=now)

    def advance(self, id: str, n: int) -> None:
        with self._lock:
            work = self._work.get(id)
            if work is None:
                return
            work.done += n
            now = self._clock()
            if now - work.told >= SILENCE and (work.parent is None or self._verbose):
                work.told = now
                amount = f"{text}, " if (text := _amount(work)) else ""
                self._line(f"{work.label}: {amount}running for {now - work.began:.0f} s")

    def note(self, id: str, text: str) -> None:
        with self._lock:
            work = self._work.get(id)
            if work:
                work.told = self._clock()
            if line := _noted(work, text, self._warned):
                self._line(line)

    def end(self, id: str, state: State = "done") -> None:
        with self._lock:
            work = self._work.pop(id, None)
            if work is None:
                return
            took = self._clock() - work.began
            wanted = took >= PATIENCE and (work.parent is None or self._verbose)
            if state in ("failed", "cancelled"):  # of a transfer the error tells
                wanted = work.unit != "bytes" or bool(self._verbose)
            if wanted or self._verbose > 1:
                amount = f"{human_size(work.done)}, " if work.unit == "bytes" and work.done else ""
                word = "" if state == "done" else f" {state}"
                self._line(f"{work.label}{word} ({amount}{took:.1f} s)")

    def _line(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a closed standard error does not stop the work
            self._stream.write(_message(text, colour=self._colour) + "\n")
            self._stream.flush()


class LiveProgress:
    """Bars on a terminal, from the moment that work takes longer than ``PATIENCE``."""

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()
        self._work: dict[str, _Work] = {}
        self._warned: set[str] = set()
        self._bars: Bars | None = None
        self._tasks: dict[str, Any] = {}
        self._timer: threading.Timer | None = None

    def begin(
        self, id: str, *, parent: str | None = None, label: str = "", total: int | None = None,
        unit: Unit = "",
    ) -> None:  # fmt: skip
        with self._lock:
            self._work[id] = _Work(label or id, parent, total, unit, time.monotonic())
            if self._bars is not None:
                self._add(id)
            elif self._timer is None:
                self._timer = threading.Timer(PATIENCE, self._start)
                self._timer.daemon = True
                self._timer.start()

    def advance(self, id: str, n: int) -> None:
        with self._lock:
            if work := self._work.get(id):
                work.done += n
                if self._bars is not None:
                    self._bars.update(self._tasks[id], completed=work.done, amount=_amount(work))

    def note(self, id: str, text: str) -> None:
        with self._lock:
            shown = _noted(self._work.get(id), text, self._warned)
            if shown is None:
                return
            line = _message(shown, colour=self._colour)
            if self._bars is not None:
                # 30 ms that a command without bars saves
                from rich.text import Text

                self._bars.console.print(Text.from_ansi(line), highlight=False)
            else:
                self._stream.write(line + "\n")

    def end(self, id: str, state: State = "done") -> None:
        with self._lock:
            self._work.pop(id, None)
            task = self._tasks.pop(id, None)
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
            if self._work:
                return
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._bars is not None:
                self._bars.stop()
                self._bars = None

    def _start(self) -> None:
        # 30 ms that a command without bars saves.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock:
            if not self._work or self._bars is not None:
                return
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[amount]}", markup=False),
                TimeElapsedColumn(),
                console=Console(file=self._stream),
                transient=True,
            )
            for id in self._work:
                self._add(id)
            self._bars.start()

    def _add(self, id: str) -> None:
        assert self._bars is not None
        work = self._work[id]
        indent = "  " if work.parent else ""
        # Names of steps are an engine's or a Dockerfile's.
        self._tasks[id] = self._bars.add_task(
            output_text(indent + printable(work.label)),
            total=work.total,
            completed=work.done,
            amount=_amount(work),
        )


def _noted(work: _Work | None, text: str, warned: set[str]) -> str | None:
    """A note as a line: behind what it is about, a warning's word first; each warning once."""
    warning = text.startswith(_WARNING)
    plain = text.removeprefix(_WARNING)
    shown = f"{work.label}: {plain}" if work and work.label != plain else plain
    if not warning:
        return shown
    if plain in warned:
        return None
    warned.add(plain)
    return _WARNING + shown


def _amount(work: _Work) -> str:
    """How far a piece of work is: ``1.20 MB of 5.09 MB``, ``3 of 7``, or bytes alone."""
    if work.unit == "bytes":
        done, total = human_size(work.done), work.total and human_size(work.total)
    else:
        done, total = str(work.done), work.total and str(work.total)
    return f"{done} of {total}" if total else done if work.unit == "bytes" else ""


def warn(text: str) -> None:
    """Print a warning on standard error."""
    tell(_WARNING + text)


def tell(text: str) -> None:
    """Print one line on standard error."""
    with contextlib.suppress(OSError):
        context = click.get_current_context(silent=True)
        color = context.params.get("color", "auto") if context is not None else "auto"
        sys.stderr.write(f"{_message(text, colour=wants_colour(sys.stderr, color))}\n")


def _message(text: str, *, colour: bool) -> str:
    """One line for people, with what is not ours made visible."""
    line = output_text(printable(text))
    return marked(line) if colour else line
