"""Unfinished files beside finished ones, and the lock of a directory that several write to.

Whatever is unfinished lies in one folder ``.homeport-…`` per writer, locked while its
writer lives, so that the next writer can remove what a crash left behind and nobody takes
an unfinished file for content.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from homeport.content.files import explained
from homeport.progress import CancelToken

_PREFIX = ".homeport-"
_LOCK_POLL = 0.02  # seconds between tries for a lock that another process holds
#: What filesystems without locks answer (some network filesystems): then renames must do.
_NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})


@contextlib.contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """A folder inside ``root`` for unfinished files; removed when the block ends."""
    folder = root / f"{_PREFIX}{secrets.token_hex(8)}"
    with explained(folder):
        folder.mkdir()
    try:
        with _handle(folder) as handle:
            _try_lock(handle)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path) -> None:
    """Remove what writers that did not live to their end have left in ``root``."""
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _handle(folder) as handle:
            if _try_lock(handle):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked_directory(root: Path, cancel: CancelToken) -> Iterator[None]:
    """While the block runs, no other writer of ``root`` is inside one."""
    with _handle(root) as handle:
        while not _try_lock(handle):
            cancel.wait(_LOCK_POLL)
        yield


@contextlib.contextmanager
def _handle(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
