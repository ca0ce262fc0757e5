"""Writing where it cannot be done: a clear error, the old image, nothing half-written."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.images import everything, image, index, layer
from builders.runtime import runtime
from homeport.content.files import CannotWrite
from homeport.errors import HomeportError, UsageError
from homeport.images.address import StreamAddress
from homeport.images.transports.stdio import Stream
from images.homes import HOMES, Home

each_home = pytest.mark.parametrize("home", HOMES, ids=str)


class Recorder:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.states: list[str] = []

    def begin(self, id, *, parent=None, label="", total=None, unit="") -> None:
        assert (unit, bool(label)) == ("bytes", True)
        self.total += total

    def advance(self, id, n) -> None:
        self.done += n

    def note(self, id, text) -> None:
        pass

    def end(self, id, state="done") -> None:
        self.states.append(state)


@each_home
def test_progress_counts_every_byte_once(home: Home, tmp_path: Path) -> None:
    value = index() if home.indexes else image(layers=[layer({"a": bytes(3 << 20)}, "none")])
    for _ in range(2):
        progress = Recorder()
        home.make(tmp_path, "1.0").write(value, runtime(progress=progress))
        assert progress.total == progress.done > 0
        assert progress.states in (["done"], ["cached"])


def _write_with_small_files_only(home: Home, folder: Path, answers: SimpleQueue[object]) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    value = image(layers=[layer({"a": bytes(1 << 20)}, "none")])
    try:
        home.make(folder, "1.0").write(value, runtime())
    except HomeportError as error:
        answers.put((type(error).__name__, error.what))
    else:
        answers.put("written")


@each_home
def test_a_file_that_cannot_grow_is_named_and_the_old_image_stays(
    home: Home, tmp_path: Path
) -> None:
    place = home.make(tmp_path, "1.0")
    old = image(layers=[layer({"a": b"old"})])
    place.write(old, runtime())
    context = multiprocessing.get_context("fork")
    answers: SimpleQueue[object] = context.SimpleQueue()
    writer = context.Process(target=_write_with_small_files_only, args=(home, tmp_path, answers))
    writer.start()
    writer.join()
    kind, what = answers.get()  # type: ignore[misc]
    assert kind == "CannotWrite"
    assert "File too large" in what
    assert str(tmp_path) in what
    with place.open(runtime()) as value:
        assert everything(value) == everything(old)
    assert list(tmp_path.rglob(".*")) == []


@each_home
def test_a_place_below_a_file_cannot_be_written(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotWrite, match=r"Not a directory|File exists"):
        home.make(tmp_path / "file", "1.0").write(image(), runtime())


def test_a_full_standard_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full))
        with pytest.raises(CannotWrite, match="standard output: No space left"):
            Stream(StreamAddress()).write(image(), runtime())


def test_an_archive_is_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    try:
        with os.fdopen(theirs, "wb", buffering=0) as terminal:
            monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=terminal))
            with pytest.raises(UsageError, match="would be written to a terminal"):
                Stream(StreamAddress()).write(image(), runtime())
    finally:
        os.close(ours)
