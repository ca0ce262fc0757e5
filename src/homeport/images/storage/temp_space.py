"""Unfinished files beside finished ones, and the lock of a directory that several write to.

Whatever is unfinished lies in one folder ``.homeport-…`` per writer, locked while its
writer lives, so that the next writer can remove what a crash left behind and no process takes
an unfinished file for content.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from homeport.content.files import explained, sync_directory, write_file
from homeport.progress import CancelToken

_PREFIX = ".homeport-"
_LOCK_POLL = 0.02  # seconds between tries for a lock that another process holds
#: What filesystems without locks answer (some network filesystems): then renames must do.
_NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})


@contextlib.contextmanager
def unfinished_folder(root: Path) -> Iterator[Path]:
    """A folder inside ``root`` for unfinished files; removed when the block ends."""
    folder, handle = _locked_folder(root)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(handle)


def write_unfinished_first(path: Path, data: bytes) -> None:
    """``write_file`` inside a directory whose next writer removes what a crash leaves."""
    with unfinished_folder(path.parent) as scratch, explained(path):
        unfinished = scratch / path.name
        write_file(unfinished, data)
        unfinished.replace(path)
        sync_directory(path.parent)


def remove_abandoned(root: Path) -> None:
    """Remove what writers that did not live to their end have left in ``root``."""
    with explained(root, "read"):
        names = [name for name in os.listdir(root) if name.startswith(_PREFIX)]
    for name in names:
        with contextlib.suppress(OSError), _handle(root / name) as handle:
            if _try_lock(handle):
                _remove(root / name)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in the system's place for temporary files, removed when the block ends."""
    place = Path(tempfile.gettempdir())
    with explained(place):
        folder = Path(tempfile.mkdtemp(prefix="homeport-", dir=place))
    try:
        yield folder
    finally:
        _remove(folder)


@contextlib.contextmanager
def locked_directory(root: Path, cancel: CancelToken) -> Iterator[None]:
    """While the block runs, no other writer of ``root`` is inside one."""
    with _handle(root) as handle:
        while not _try_lock(handle):
            cancel.wait(_LOCK_POLL)
        yield


def _locked_folder(root: Path) -> tuple[Path, int]:
    """A new folder, and the open handle that holds its lock."""
    while True:
        folder = root / f"{_PREFIX}{os.urandom(8).hex()}"
        with explained(folder):
            folder.mkdir()
        # Between the two steps another writer may have taken it for abandoned.
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if _try_lock(handle) and folder.exists():
                return folder, handle
            os.close(handle)


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


def _remove(folder: Path) -> None:
    """The folder and all in it, as far as that can be done."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(place, name))
        for name in folders:  # a symbolic link to a directory is listed here too
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):
                (os.unlink if os.path.islink(path) else os.rmdir)(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
