"""Folders and files below a root, opened without following links; new ones are private.

Every component below the root is opened relative to the descriptor of the one before it, so
that a link which another user plants there leads nowhere. Folders are made with mode 0700,
files with 0600, whatever the umask. The root itself is the user's choice and may be a link.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Neither links nor, without waiting for a writer, named pipes are opened.
SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@contextlib.contextmanager
def open_folder(root: Path, *names: str, make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below ``root``. Raises ``OSError``; ``make`` makes all of it."""
    if make:
        make_folders(root)
    current = os.open(root, _FOLDER)
    try:
        for name in names:
            below = _open_made(name, current) if make else _open_below(name, current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing. Raises ``OSError``."""
    if not path.is_dir():
        if path.parent != path:
            make_folders(path.parent)
        os.close(_open_made(str(path), None))


def open_file(name: str, folder: int, flags: int) -> int:
    """Open a regular file in a folder; one that is made has mode 0600. Raises ``OSError``."""
    descriptor = os.open(name, flags | SAFE, 0o600, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{name} is not a regular file")
        if flags & os.O_CREAT and status.st_size == 0:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_file(name: str, folder: int) -> bytes:
    """The content of a regular file in a folder. Raises ``OSError``."""
    with os.fdopen(open_file(name, folder, os.O_RDONLY), "rb") as stream:
        return stream.read()


def replace_file(name: str, folder: int, data: bytes) -> None:
    """Make ``data`` the content of a file, the whole of it or not at all; not synced to disk."""
    unfinished = f".{name[:100]}.{os.urandom(8).hex()}"
    descriptor = open_file(unfinished, folder, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.replace(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=folder)
        raise


def _open_below(name: str, folder: int | None) -> int:
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)


def _open_made(name: str, folder: int | None) -> int:
    """The descriptor of a folder that is made if it is missing."""
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return _open_below(name, folder)
    # The umask may have taken away rights of ours. Only root can open the folder then, and only
    # root must not change a mode by name, behind which another user may have put a link.
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=folder)
    made = _open_below(name, folder)
    os.fchmod(made, 0o700)
    return made
