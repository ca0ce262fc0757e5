"""Putting verified blobs into files: by clone or hard link where content is shared, else by copy.

Every blob is read through for its size and digest, in each of these ways; only what
this very process has verified and synced a moment ago, while it came in, is not read again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from homeport.content.blob import Blob, KnownGood, verified
from homeport.content.files import explained
from homeport.content.reading import CHUNK
from homeport.images.byte_progress import ByteProgress

_FICLONE = 0x40049409  # linux/fs.h; the same on the architectures we know


def place_file(blob: Blob, target: Path, scratch: Path, progress: ByteProgress) -> None:
    """Make ``target`` a file with the content of ``blob``, whole and durable, or not at all.

    ``scratch`` is a folder on the same filesystem. Raises ``IntegrityError``, ``CannotWrite``.
    """
    unfinished = scratch / os.urandom(8).hex()
    known_good = blob.verified_file() if isinstance(blob, KnownGood) else None
    if known_good is not None and _share(known_good, unfinished):
        progress.advance(blob.size)
        _finish(unfinished, target)
        return
    source = blob.local_path()
    shared = source is not None and _share(source, unfinished)
    try:
        with verified(blob, target.name) as stream, explained(target):
            if shared:
                while chunk := stream.read(CHUNK):
                    progress.advance(len(chunk))
            else:
                with unfinished.open("xb") as out:
                    while chunk := stream.read(CHUNK):
                        out.write(chunk)
                        progress.advance(len(chunk))
            if not shared:
                unfinished.chmod(0o644)
        _finish(unfinished, target)
    except BaseException:
        _unlink(unfinished)
        raise


def _finish(unfinished: Path, target: Path) -> None:
    with explained(target):
        _sync(unfinished)
        unfinished.replace(target)
        _unlink(unfinished)  # renaming a link over its twin leaves both


def _share(source: Path, target: Path) -> bool:
    """Make ``target`` the same content without copying it; whether that worked."""
    with contextlib.suppress(OSError):
        return _clone(source, target)
    with contextlib.suppress(OSError):
        target.unlink(missing_ok=True)
        os.link(source, target)
        return True
    return False


def _clone(source: Path, target: Path) -> bool:
    with source.open("rb") as original, target.open("xb") as copy:
        fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
    target.chmod(0o644)
    return True


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
