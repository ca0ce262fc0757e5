"""Serve test runs, and remove what they leave behind.

Testcontainers starts it beside a test run with the daemon's socket mounted, connects to port 8080
and names labels. When the last connection is closed, everything with these labels is removed: also
after a crash, when the run itself can remove nothing. The contract is ``testcontainers/ryuk``'s.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping

from homeport.reaper.clients import Waiting
from homeport.reaper.daemon import Daemon, DaemonError
from homeport.reaper.removing import StillCreating, find, remove
from homeport.reaper.settings import BadSetting, Settings, read_settings


def serve_until_done(listener: int) -> int:
    """Serve until there is nothing to wait for; 1 if something could not be removed.

    listener: the descriptor of a socket that listens, or -1 if there is none
    """
    try:
        return _serve(os.environ, listener)
    except (BadSetting, DaemonError) as error:
        log(f"error: {error}")
    except OSError as error:
        log(f"error: {error.strerror or error}")
    return 1


def _serve(environment: Mapping[str, str], descriptor: int) -> int:
    settings = read_settings(environment)
    if descriptor < 0:
        raise BadSetting(f"RYUK_PORT: cannot listen on port {settings.port}")
    daemon = Daemon(settings.host, settings.request)
    daemon.ping()
    with socket.socket(fileno=descriptor) as listener:
        waiting = Waiting(settings, listener, _woken_by_signals(), log)
        # Clients of several languages wait for this word.
        log(f"Started! Listening on port {listener.getsockname()[1]}")
        found = _what_is_left(daemon, waiting, settings)
    counts, left = remove(daemon, found, settings.retries, log)
    removed = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items())
    log(f"removed {removed}")
    if left:
        log(f"error: {left} could not be removed")
    return 1 if left else 0


def _what_is_left(daemon: Daemon, waiting: Waiting, settings: Settings) -> dict[str, list[str]]:
    try:
        while True:
            waiting.until_due()
            try:
                filters = tuple(waiting.filters.values())
                return find(daemon, filters, time.time() + settings.offset, log)
            except StillCreating as error:
                log(f"waiting again: {error}")
    finally:
        waiting.close()


def _woken_by_signals() -> socket.socket:
    """What SIGTERM and SIGINT write to; they do nothing else."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return ours


def log(text: str) -> None:
    """A line with the time, printable: names of strangers are in it."""
    stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime())
    shown = "".join(each if each.isprintable() else "?" for each in text)
    print(stamp, shown, file=sys.stdout, flush=True)
