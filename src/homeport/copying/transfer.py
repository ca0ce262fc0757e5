"""Ways to copy a file's bytes beside ``copy_file_range``: reflink, sendfile, sparse, read.

Imported when one is needed: a plain copy loads none of them.
"""

import errno
import posix

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from homeport.copying.filesystem import Content

    Check = Callable[[], None] | None

CHUNK = 1 << 20
FICLONE = 0x40049409  # linux/fs.h
#: The kernel's answers where this way of copying does not work for these two files.
UNSUPPORTED = frozenset(
    (
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
        errno.EBADF,
        errno.EPERM,
        errno.ETXTBSY,
        errno.ENOTTY,
        errno.EISDIR,
        errno.EOVERFLOW,
    )
)


def clone(source: int, target: int) -> bool:
    try:
        import fcntl

        fcntl.ioctl(target, FICLONE, source)
    except (OSError, ImportError):
        return False
    return True


def send(source: int, target: int, check: "Check") -> int:
    done = 0
    try:
        while count := posix.sendfile(target, source, None, CHUNK):
            done += count
            if check is not None:
                check()
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        while data := posix.read(source, CHUNK):
            write_all(target, data)
            done += len(data)
            if check is not None:
                check()
    return done


def copy_data_only(source: int, target: int, size: int, check: "Check") -> bool:
    """A sparse file by its data alone; False where the filesystem cannot tell."""
    end = 0
    while end < size:
        try:
            start = posix.lseek(source, end, posix.SEEK_DATA)
            end = posix.lseek(source, start, posix.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data after here
                break
            if end:
                raise
            posix.lseek(source, 0, 0)
            return False
        posix.lseek(source, start, 0)
        posix.lseek(target, start, 0)
        left = end - start
        while left > 0:
            data = posix.read(source, min(left, CHUNK))
            if not data:
                break
            write_all(target, data)
            left -= len(data)
            if check is not None:
                check()
    posix.ftruncate(target, min(size, posix.fstat(source).st_size))
    return True


def write_content(content: "Content", target: int, check: "Check" = None) -> int:
    size = 0
    while True:
        hole = content.take_hole()
        if hole:
            size += hole
            posix.lseek(target, hole, 1)
        data = content.read(CHUNK)
        if not data:
            break
        write_all(target, data)
        size += len(data)
        if check is not None:
            check()
    if hole:  # a hole at the end is made by the length
        posix.ftruncate(target, size)
    return size


def write_all(target: int, data: "Any") -> None:
    count = posix.write(target, data)
    if count < len(data):
        rest = memoryview(data)[count:]
        while rest:
            rest = rest[posix.write(target, rest) :]
