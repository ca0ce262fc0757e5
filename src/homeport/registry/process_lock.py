"""A lock between processes of one user, for what a registry cannot lock.

A file lock per thing, in the user's own runtime folder. Not for other machines or users:
the writer reads back what became of it (``registry.referrers``).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from homeport.net.clock import Clock
from homeport.progress import CancelToken

_POLL = 0.05  # seconds between tries for a lock that another process holds


@contextlib.contextmanager
def process_lock(
    what: str, clock: Clock, cancel: CancelToken, folder: Path | None = None
) -> Iterator[None]:
    """While the block runs, no other process of this user is in one about ``what``.

    Where no lock can be had (no place for files, a filesystem without locks) there is none.
    """
    handle = _open(what, folder or _own_folder())
    try:
        while handle is not None and not _locked(handle):
            clock.wait(_POLL, cancel)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _own_folder() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):
        return Path(runtime, "homeport")
    return Path(tempfile.gettempdir(), f"homeport-{os.getuid()}")


def _open(what: str, folder: Path) -> int | None:
    """The lock's file, opened; it stays there, for removing it would let two in."""
    name = f"turn-{hashlib.sha256(what.encode()).hexdigest()[:32]}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(folder)  # in a folder that all may write to, another may have been there
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid():
            return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    return None


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks on this filesystem
        return True
    return True
