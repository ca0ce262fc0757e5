"""Writing files so that a crash at any moment leaves the old one or the new one.

Written beside, synced, renamed. Not for the content store's policy (``content.store``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from homeport.content.reading import read_bounded
from homeport.errors import HomeportError

_OF_SYSTEM = (("/", "dev"), ("/", "proc"))


class CannotWrite(HomeportError):
    """The operating system refused a write; the path and its reason are named."""

    id = "cannot-write"


class CannotRead(HomeportError):
    """The operating system refused a read; the path and its reason are named."""

    id = "cannot-read"


class NoInput(CannotRead):
    """A file that the user named is missing, or is a folder, a pipe or a device: a usage error."""

    id = "no-input"
    exit_code = 2


_NO_FILE = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
)


def write_hint(error: OSError) -> str | None:
    """What to do when a write failed."""
    return {
        errno.ENOSPC: "free some space there, then run the same command again",
        errno.EDQUOT: "free some of your disk quota there, then run the same command again",
        errno.EROFS: "choose a path on a writable filesystem",
        errno.EACCES: "choose a path that you may write to",
    }.get(error.errno or 0)


@contextlib.contextmanager
def explained(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an ``OSError`` inside the block into ``CannotWrite`` that names ``path``.

    ``CannotRead`` if what is being done is to ``read``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        kind = CannotRead if doing == "read" else CannotWrite
        hint = write_hint(error)
        if kind is CannotRead and error.errno == errno.EACCES:
            hint = "ask its owner for read permission"
        raise kind(
            f"cannot {doing} {path}: {reason}", where={"file": str(path)}, hint=hint
        ) from error


def open_input(path: Path) -> BinaryIO:
    """Open a file that is read as a whole: a configuration, a recipe, a policy.

    Only a regular one, or what the system calls a file (``/dev/stdin``, ``/dev/fd/63`` of a shell's
    ``<(…)``): in the folder of a stranger, a named pipe or device would never end. Raises
    ``OSError``.
    """
    if _is_of_system(path):
        return path.open("rb")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_input(path: Path, limit: int, name: str | None = None) -> bytes:
    """All of a file as ``open_input`` opens it; ``name`` is what an error calls it.

    Raises ``NoInput``, ``CannotRead``, ``TooLarge``.
    """
    with explained(path, "read"):
        try:
            stream = open_input(path)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise NoInput(
                f"cannot read {path}: {error.strerror}", where={"file": str(path)}
            ) from error
        with stream:
            return read_bounded(stream, limit, name or str(path))


def check_place(path: Path) -> None:
    """Check that ``path`` can be written, before work that takes long.

    A full disk or a quota shows only in the write itself. Raises ``CannotWrite``.
    """
    if _is_special(path):
        return
    with explained(path):
        folder = path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.access(folder, os.W_OK | os.X_OK):
            return
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = errno.EROFS if read_only else errno.EACCES
        raise OSError(reason, os.strerror(reason))


@contextlib.contextmanager
def atomic_write(path: Path, *, mode: int | None = None, sync: bool = True) -> Iterator[BinaryIO]:
    """A stream whose content becomes ``path`` when the block ends without an error.

    Otherwise the old file, or its absence, stays and nothing is left beside it. The mode is what
    the umask leaves of 0644, or ``mode`` exactly. A device or a named pipe is written to as it
    is, never replaced by a file; a link to one is replaced, unless it lies in ``/dev`` or
    ``/proc``.
    Raises ``CannotWrite``.
    """
    if _is_special(path):
        flags = os.O_WRONLY | os.O_CLOEXEC | (0 if _is_of_system(path) else os.O_NOFOLLOW)
        with explained(path), os.fdopen(os.open(path, flags), "wb") as stream:
            yield cast("BinaryIO", stream)
        return
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # One handle from here on: the owner of the folder may put another in its place.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _unfinished(folder, path.name, mode) as (name, stream):
                yield stream
                stream.flush()
                if mode is not None:
                    os.fchmod(stream.fileno(), mode)
                if sync:
                    os.fsync(stream.fileno())
                os.rename(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            if sync:
                with contextlib.suppress(OSError):  # where a filesystem cannot
                    os.fsync(folder)
        finally:
            os.close(folder)


@contextlib.contextmanager
def _unfinished(folder: int, name: str, mode: int | None) -> Iterator[tuple[str, BinaryIO]]:
    """A new file beside ``name``; removed if the block ends with an error."""
    temporary = f".{name[:100]}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o644 if mode is None else 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield temporary, cast("BinaryIO", stream)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _is_special(path: Path) -> bool:
    """Whether there is something that takes bytes and is not a file: ``/dev/full``, a pipe.

    Links of the system count (``/dev/stdout``, ``/dev/fd/3``): the owner of another folder may
    have made the links in it.
    """
    try:
        mode = (path.stat() if _is_of_system(path) else path.lstat()).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISBLK(mode)


def _is_of_system(path: Path) -> bool:
    return path.parts[:2] in _OF_SYSTEM


def write_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """``atomic_write`` for bytes in memory."""
    with atomic_write(path, mode=mode) as stream:
        stream.write(data)
