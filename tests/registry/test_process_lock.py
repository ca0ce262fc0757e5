"""Processes of one user take turns at the list of referrers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from builders.net import FakeClock
from homeport.errors import Interrupted
from homeport.net.clock import SystemClock
from homeport.progress import CancelToken
from homeport.registry.process_lock import process_lock

HOLDER = """
import sys
from pathlib import Path
from homeport.net.clock import SystemClock
from homeport.progress import CancelToken
from homeport.registry.process_lock import process_lock

with process_lock(sys.argv[2], SystemClock(), CancelToken(), Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


class Impatient(FakeClock):
    """Lets the other process go at the third try."""

    def __init__(self, holder: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self._holder = holder

    def wait(self, seconds: float, cancel: CancelToken) -> None:
        super().wait(seconds, cancel)
        if len(self.waits) == 3:
            self._holder.communicate()


def holder(folder: Path, what: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), what],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"in\n"
    return process


def test_a_second_process_waits_until_the_first_is_done(tmp_path: Path) -> None:
    first = holder(tmp_path, "r.example/a:sha256-1")
    clock = Impatient(first)
    with process_lock("r.example/a:sha256-1", clock, CancelToken(), tmp_path):
        assert len(clock.waits) == 3
        assert first.returncode == 0


def test_other_things_are_not_waited_for(tmp_path: Path) -> None:
    first = holder(tmp_path, "r.example/a:sha256-1")
    clock = FakeClock()
    with process_lock("r.example/b:sha256-1", clock, CancelToken(), tmp_path):
        assert clock.waits == []
    first.communicate()


def test_waiting_can_be_called_off(tmp_path: Path) -> None:
    first = holder(tmp_path, "a")
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Interrupted), process_lock("a", SystemClock(), cancel, tmp_path):
        pass
    first.communicate()


def test_without_a_place_for_locks_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with process_lock("a", FakeClock(), CancelToken(), tmp_path / "file"):
        pass


def test_the_lock_is_private_and_stays_where_it_is(tmp_path: Path) -> None:
    with process_lock("a", FakeClock(), CancelToken(), tmp_path / "own"):
        (lock,) = (tmp_path / "own").iterdir()
    assert os.stat(tmp_path / "own").st_mode & 0o777 == 0o700
    assert lock.exists()
    assert lock.stat().st_mode & 0o777 == 0o600
