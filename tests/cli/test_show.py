"""How work in progress looks: bars on a terminal, a line for each piece of work elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty

import pytest

from homeport.buildkit.progress_display import BarWatcher
from homeport.buildkit.protocol.control import StatusResponse, Vertex
from homeport.buildkit.status import Steps
from homeport.cli.show import LiveProgress, PlainProgress, progress_for


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _everything_written(master: int) -> str:
    """All that a terminal got: the kernel hands it over in pieces and ends with EIO."""
    pieces = []
    with contextlib.suppress(OSError):
        while piece := os.read(master, 1 << 16):
            pieces.append(piece)
    os.close(master)
    return b"".join(pieces).decode()


def test_bars_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_for(Terminal(), quiet=False, live=True, verbose=0), LiveProgress)
    assert isinstance(progress_for(Terminal(), quiet=False, live=False, verbose=0), PlainProgress)
    assert isinstance(progress_for(io.StringIO(), quiet=False, live=True, verbose=0), PlainProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_for(Terminal(), quiet=False, live=True, verbose=0), PlainProgress)


def test_bars_show_label_and_amount_and_leave_only_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    master, slave = pty.openpty()
    with open(slave, "w") as stream:
        progress = LiveProgress(stream)
        progress.begin("a", label="read packages", total=7, unit="items")
        progress._start()
        progress.advance("a", 3)
        progress.note("a", "old.deb is gone \x1b[2J")
        assert progress._bars is not None
        progress._bars.refresh()
        progress.end("a")
    shown = _everything_written(master)

    assert "read packages" in shown
    assert "3 of 7" in shown
    assert "read packages: old.deb is gone \\x1b[2J" in shown  # what could steer is spelt out
    assert "\x1b[2K" in shown.rpartition("3 of 7")[2]  # the bar's line is wiped at the end


def test_plain_lines_tell_of_work_that_took_a_while() -> None:
    moment = iter([0.0, 1.0, 1.0, 2.0, 2.0, 2.1])
    stream = io.StringIO()
    progress = PlainProgress(stream, clock=lambda: next(moment))
    progress.begin("long", label="layer", unit="bytes")
    progress.advance("long", 1_500_000)
    progress.note("long", "halfway")
    progress.end("long")
    progress.begin("short", label="nothing")
    progress.end("short")
    assert stream.getvalue().splitlines() == ["layer: halfway", "layer (1.50 MB, 2.0 s)"]


def test_a_warning_has_its_word_first_and_comes_once_however_many_give_it() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    for id in ("one", "two"):
        progress.begin(id, label=f"copy {id}")
        progress.note(id, "warning: the list is too long")
        progress.note(id, "retrying")
        progress.end(id)
    progress.note("other", "warning: the list is too long")
    assert stream.getvalue().splitlines() == [
        "warning: copy one: the list is too long", "copy one: retrying", "copy two: retrying",
    ]  # fmt: skip


def test_work_that_goes_on_is_named_every_30_seconds() -> None:
    now = 0.0
    stream = io.StringIO()
    progress = PlainProgress(stream, clock=lambda: now)
    progress.begin("push", label="Pushing to r.example/a:1", total=9_000_000, unit="bytes")
    for moment in (10.0, 29.0, 31.0, 40.0, 62.0):
        now = moment
        progress.advance("push", 1_000_000)
    progress.note("push", "trying again")
    now = 80.0
    progress.advance("push", 0)
    assert stream.getvalue().splitlines() == [
        "Pushing to r.example/a:1: 3.00 MB of 9.00 MB, running for 31 s",
        "Pushing to r.example/a:1: 5.00 MB of 9.00 MB, running for 62 s",
        "Pushing to r.example/a:1: trying again",
    ]


def test_a_silent_step_of_a_recipes_part_is_named_too() -> None:
    now = 0.0
    stream = io.StringIO()
    steps = Steps(BarWatcher(PlainProgress(stream, clock=lambda: now)))
    running = Vertex(digest="a", name="make", started=1)
    steps.feed(StatusResponse(vertexes=(Vertex(digest="b", name="waiting"), running)))
    for moment in (15.0, 31.0, 45.0):
        now = moment
        steps.tick()
    assert stream.getvalue().splitlines() == ["make: running for 31 s"]


def test_a_listener_that_is_gone_does_not_stop_the_work() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    progress = PlainProgress(Gone())
    progress.note("x", "nobody reads this")
    progress.begin("x")
    progress.end("x", "failed")
