"""Removing a real directory with everything below it, by descriptors.

Imported when a directory is removed: a plain copy never does.
"""

import errno
import posix

DIRECTORY = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_DIRECTORY


def remove_tree(parent: int, name: bytes) -> None:
    """Remove a directory with all below it; no recursion, two descriptors whatever the depth."""
    here = parent
    stack: list[tuple[tuple[int, int], list[bytes | str]]] = [(_identity(parent), [name])]
    try:
        while True:
            below = stack[-1][1]
            if below:
                child = posix.open(below[-1], DIRECTORY, dir_fd=here)
                if here != parent:
                    posix.close(here)
                here = child
                stack.append((_identity(child), _unlink_all(child)))
                continue
            stack.pop()
            if not stack:
                return
            up = parent if len(stack) == 1 else _open_parent(here, stack[-1][0])
            posix.close(here)
            here = up
            posix.rmdir(stack[-1][1].pop(), dir_fd=up)
    finally:
        if here != parent:
            posix.close(here)


def _identity(fd: int) -> "tuple[int, int]":
    status = posix.fstat(fd)
    return status.st_dev, status.st_ino


def _open_parent(fd: int, expected: "tuple[int, int]") -> int:
    """The directory above; ESTALE if it is not the one that the walk came through."""
    above = posix.open(b"..", DIRECTORY, dir_fd=fd)
    if _identity(above) != expected:
        posix.close(above)
        raise OSError(errno.ESTALE, "directory was moved meanwhile")
    return above


def _unlink_all(fd: int) -> "list[bytes | str]":
    """Unlink everything but directories; the names of those."""
    below: list[bytes | str] = []
    for name in posix.listdir(fd):
        try:
            posix.unlink(name, dir_fd=fd)
        except IsADirectoryError:
            below.append(name)
    return below
