"""Files of an audited tree, which may belong to a stranger: regular ones, inside the tree.

A symbolic link inside the tree is followed; one that leads out of it is not, so that a pull
request cannot have files of the machine read and printed. What blocks or never ends (named
pipes, devices) is not opened for reading. A path that begins with ``..`` was given by the user
and is free.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from pathlib import Path

#: Bytes of one file; a larger one is reported and skipped.
LARGEST = 8 << 20
#: Names of one folder that are looked at.
MOST_NAMES = 5_000

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class NotReadable(Exception):
    """A file that is not read; the text gives the reason."""


class TooLarge(NotReadable):
    """A file is larger than any that an audit reads."""


def check_inside(root: Path, path: str) -> None:
    """Raise ``NotReadable`` if a symbolic link leads from ``path`` out of ``root``."""
    if path.split("/", 1)[0] == "..":
        return
    real = os.path.realpath(root)
    target = os.path.realpath(root / path)
    if target != real and not target.startswith(real.rstrip("/") + "/"):
        raise NotReadable("a symbolic link out of the audited directory; not followed")


def read_file(root: Path, path: str, inside: set[str] | None = None) -> bytes:
    """The content of the file ``path`` below ``root``. Raises ``NotReadable``.

    inside:  folders that were found to be inside the tree, for many files of one audit
    """
    try:
        descriptor = _open(root, path, set() if inside is None else inside)
    except (OSError, ValueError) as error:
        raise NotReadable(reason_of(error)) from error
    with open(descriptor, "rb") as stream:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise NotReadable("not a regular file")
        try:
            # The size bounds the buffer that is made for it.
            data = stream.read(min(info.st_size, LARGEST) + 1)
        except OSError as error:
            raise NotReadable(reason_of(error)) from error
    if len(data) > LARGEST:
        raise TooLarge(f"larger than {LARGEST >> 20} MiB; not read")
    return data


def list_folder(root: Path, path: str) -> list[str]:
    """The names in a folder below ``root``; none where it cannot be read."""
    try:
        check_inside(root, path)
        with os.scandir(os.path.join(root, path)) as entries:
            return sorted(entry.name for entry in itertools.islice(entries, MOST_NAMES))
    except (NotReadable, OSError, ValueError):
        return []


def _open(root: Path, path: str, inside: set[str]) -> int:
    folder = path.rpartition("/")[0]
    if folder not in inside:
        check_inside(root, folder)
        inside.add(folder)
    full = os.path.join(root, path)
    try:
        return os.open(full, _OPEN | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    check_inside(root, path)
    return os.open(full, _OPEN)


def reason_of(error: OSError | ValueError) -> str:
    """Why the system refused, in words."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)
