"""The door between blocking code and the event loop: results, cancelling, and no way to hang."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from homeport.buildkit.async_bridge import run_async
from homeport.errors import Interrupted
from homeport.progress import CancelToken


def test_a_result_comes_out_and_so_does_an_error() -> None:
    async def add() -> int:
        return 1 + 1

    async def fail() -> None:
        raise LookupError("no")

    assert run_async(add()) == 2
    with pytest.raises(LookupError):
        run_async(fail())


def test_cancelling_runs_what_must_run_at_the_end() -> None:
    cancel, ended = CancelToken(), threading.Event()

    async def work() -> None:
        cancel.cancel()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(Interrupted):
        run_async(work(), cancel)
    assert ended.is_set()


STUCK = """
import asyncio, os, signal
from homeport.buildkit import async_bridge as door
from homeport.cli.interrupt import stop_on_signals
from homeport.progress import CancelToken

door._GRACE = 0.2
cancel = CancelToken()
stop_on_signals(cancel)

async def write_to_a_pipe_that_nobody_reads():
    read, write = os.pipe()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.to_thread(os.write, write, bytes(1 << 20))

door.run_async(write_to_a_pipe_that_nobody_reads(), cancel)
"""


def test_one_signal_ends_it_though_a_thread_hangs_for_ever() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 130, done.stderr
