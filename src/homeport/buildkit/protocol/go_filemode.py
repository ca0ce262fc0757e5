"""File modes as Go's FileMode has them, which is how they travel."""

from __future__ import annotations

import stat

DIRECTORY, SYMLINK, DEVICE, FIFO, SOCKET = 1 << 31, 1 << 27, 1 << 26, 1 << 25, 1 << 24
SETUID, SETGID, CHAR, STICKY = 1 << 23, 1 << 22, 1 << 21, 1 << 20
TYPES = DIRECTORY | SYMLINK | DEVICE | FIFO | SOCKET | CHAR
_TYPE = {
    stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK, stat.S_IFBLK: DEVICE,
    stat.S_IFCHR: DEVICE | CHAR, stat.S_IFIFO: FIFO, stat.S_IFSOCK: SOCKET,
}  # fmt: skip
_BITS = ((stat.S_ISUID, SETUID), (stat.S_ISGID, SETGID), (stat.S_ISVTX, STICKY))


def to_go(mode: int) -> int:
    """From ``st_mode``."""
    found = mode & 0o777 | _TYPE.get(stat.S_IFMT(mode), 0)
    for ours, theirs in _BITS:
        if mode & ours:
            found |= theirs
    return found
