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

from homeport.errors import HomeportError

_OF_SYSTEM = (("/", "dev"), ("/", "proc"))


class CannotWrite(HomeportError):
    """The operating system refused a write; the path and its reason are named."""

    id = "cannot-write"


class CannotRead(HomeportError):
    """The operating system refused a read; the path and its reason are named."""

    id = "cannot-read"


@contextlib.contextmanager
def explained(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an ``OSError`` inside the block into ``CannotWrite`` that names ``path``.

    ``CannotRead`` if what is being done is to ``read``.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        kind = CannotRead if doing == "read" else CannotWrite
        hint = {
            errno.ENOSPC: "free some space there, then run the same command again",
            errno.EDQUOT: "your disk quota there is used up; free some space and run it again",
            errno.EROFS: "choose a place that is writable",
            errno.EACCES: "choose a place that you may write to",
        }.get(error.errno or 0)
        if kind is CannotRead and error.errno == errno.EACCES:
            hint = "ask its owner for read permission"
        raise kind(
            f"cannot {doing} {path}: {reason}", where={"file": str(path)}, hint=hint
        ) from error


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
        with explained(path), path.open("wb") as stream:
            yield cast("BinaryIO", stream)
        return
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name[:100]}.{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o644 if mode is None else 0o600)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield cast("BinaryIO", stream)
                stream.flush()
                if mode is not None:
                    os.fchmod(stream.fileno(), mode)
                if sync:
                    os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if sync:
            sync_directory(path.parent)


def _is_special(path: Path) -> bool:
    """Whether there is something that takes bytes and is no file: ``/dev/full``, a pipe.

    Links of the system count (``/dev/stdout``, ``/dev/fd/3``): whoever owns another folder may
    have made the links in it.
    """
    try:
        mode = (path.stat() if path.parts[:2] in _OF_SYSTEM else path.lstat()).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISBLK(mode)


def write_file(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """``atomic_write`` for bytes in memory."""
    with atomic_write(path, mode=mode) as stream:
        stream.write(data)


def sync_directory(path: Path) -> None:
    """Make renames inside ``path`` durable; quietly skipped where a filesystem cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
