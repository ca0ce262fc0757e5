"""A real directory for the COPY engine: every step from a handle, no link followed.

Names are opened relative to the descriptor of their directory with ``O_NOFOLLOW``, and
the engine looks at what was opened, not at what has the name by then: a name that is
swapped between two steps changes nothing. Contents stay in the kernel where it can do that.

Uses ``posix`` directly: ``os`` costs a millisecond at the start of the helper.
"""

import errno
import posix
import sys

from homeport.copying.errors import shown
from homeport.copying.metadata import Info, Metadata

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from homeport.copying.filesystem import Content

    Warn = Callable[[str], None]
    Check = Callable[[], None] | None

S_IFMT = 0o170000
KIND_OF = {
    0o100000: "file",
    0o040000: "directory",
    0o120000: "symlink",
    0o020000: "char",
    0o060000: "block",
    0o010000: "fifo",
    0o140000: "socket",
}
TYPE_OF = {"char": 0o020000, "block": 0o060000, "fifo": 0o010000, "file": 0o100000}

READ_FILE = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY
READ_DIRECTORY = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC | posix.O_DIRECTORY
CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC

STEP = 1 << 26  # bytes copied in the kernel between two calls of ``check``
CLONE_FROM = 1 << 16  # smaller files are not worth the attempt to share their blocks

ENCODING = sys.getfilesystemencoding()


def encode(name: str) -> bytes:
    return name.encode(ENCODING, "surrogateescape")


class Rooted:
    """A directory of this machine. ``path`` itself is opened as the kernel does, links and all.

    owners: whether owners are set at all; by default only if we are root
    warn:   told what could not be kept, such as an attribute that the filesystem refuses
    check:  called now and then while contents are copied; stops that by raising
    """

    __slots__ = ("_fd", "check", "owners", "warn")

    def __init__(
        self,
        path: "bytes | int",
        owners: "bool | None" = None,
        warn: "Warn | None" = None,
        check: "Callable[[], None] | None" = None,
    ) -> None:
        self.check = check
        flags = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC
        self._fd = path if isinstance(path, int) else posix.open(path, flags)
        self.owners = posix.geteuid() == 0 if owners is None else owners
        self.warn = warn

    def root(self) -> "RootedDirectory":
        return RootedDirectory(posix.open(b".", READ_DIRECTORY, dir_fd=self._fd), self)

    def close(self) -> None:
        if self._fd >= 0:
            posix.close(self._fd)
            self._fd = -1


class RootedFile:
    """An open regular file."""

    __slots__ = ("fd", "status")

    def __init__(self, fd: int, status: posix.stat_result) -> None:
        self.fd = fd
        self.status = status

    def info(self) -> Info:
        return info_of(self.status)

    def xattrs(self) -> "dict[bytes, bytes]":
        return read_xattrs(self.fd)

    def read(self, size: int, /) -> bytes:
        return posix.read(self.fd, size)

    def take_hole(self) -> int:
        return 0

    def close(self) -> None:
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "RootedFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RootedDirectory:
    """An open directory."""

    __slots__ = ("fd", "filesystem")

    def __init__(self, fd: int, filesystem: Rooted) -> None:
        self.fd = fd
        self.filesystem = filesystem

    # -- reading

    def info(self) -> Info:
        return info_of(posix.fstat(self.fd))

    def xattrs(self) -> "dict[bytes, bytes]":
        return read_xattrs(self.fd)

    def entries(self) -> "Iterator[tuple[bytes, str]]":
        with posix.scandir(self.fd) as found:
            for entry in found:
                if entry.is_file(follow_symlinks=False):
                    kind = "file"
                elif entry.is_dir(follow_symlinks=False):
                    kind = "directory"
                else:
                    kind = ""
                yield entry.name.encode(ENCODING, "surrogateescape"), kind

    def stat(self, name: bytes) -> "Info | None":
        try:
            return info_of(posix.stat(name, dir_fd=self.fd, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def readlink(self, name: bytes) -> bytes:
        return posix.readlink(name, dir_fd=self.fd)

    def xattrs_of(self, name: bytes) -> "dict[bytes, bytes]":
        """Of a symbolic link, device or FIFO. None: there is no such call by descriptor.

        The kernel allows user attributes on none of these; security labels are given anew.
        """
        return {}

    def open_directory(self, name: bytes) -> "RootedDirectory":
        return RootedDirectory(posix.open(name, READ_DIRECTORY, dir_fd=self.fd), self.filesystem)

    def open_file(self, name: bytes) -> RootedFile:
        fd = posix.open(name, READ_FILE, dir_fd=self.fd)
        status = posix.fstat(fd)
        if status.st_mode & S_IFMT != 0o100000:
            posix.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return RootedFile(fd, status)

    # -- changing

    def create_file(self, name: bytes, content: "Content", metadata: Metadata) -> int:
        fd = posix.open(name, CREATE, 0o600, dir_fd=self.fd)
        try:
            if content.__class__ is RootedFile:
                size = copy_content(content.fd, fd, content.status, self.filesystem.check)
            else:
                from homeport.copying.transfer import write_content

                size = write_content(content, fd, self.filesystem.check)
            self._apply(fd, metadata)
        except BaseException:
            # Disk full, a signal, an archive that ends: no half of a file stays.
            posix.close(fd)
            posix.unlink(name, dir_fd=self.fd)
            raise
        posix.close(fd)
        return size

    def create_directory(self, name: bytes, metadata: Metadata) -> "RootedDirectory":
        posix.mkdir(name, 0o700, dir_fd=self.fd)
        directory = self.open_directory(name)
        directory.set(metadata)
        return directory

    def create_symlink(self, name: bytes, target: bytes, metadata: Metadata) -> None:
        posix.symlink(target, name, dir_fd=self.fd)
        self._apply_by_name(name, metadata)

    def create_special(
        self, name: bytes, kind: str, device: "tuple[int, int]", metadata: Metadata
    ) -> None:
        number = posix.makedev(*device) if kind in ("char", "block") else 0
        mode = 0o644 if metadata.mode is None else metadata.mode
        # With its mode at once: not every kernel has a chmod by name that follows no link.
        umask = posix.umask(0)
        try:
            posix.mknod(name, TYPE_OF[kind] | mode, number, dir_fd=self.fd)
        finally:
            posix.umask(umask)
        self._apply_by_name(name, metadata)
        if mode & 0o7000:  # which a new owner has taken away
            self._chmod_by_name(name, mode)

    def create_hardlink(self, name: bytes, directory: "RootedDirectory", target: bytes) -> None:
        posix.link(target, name, src_dir_fd=directory.fd, dst_dir_fd=self.fd, follow_symlinks=False)

    def set(self, metadata: Metadata) -> None:
        self._apply(self.fd, metadata)

    def set_of(self, name: bytes, metadata: Metadata) -> None:
        try:
            file = self.open_file(name)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ELOOP, errno.ENXIO):
                raise
            self._apply_by_name(name, metadata)
            if metadata.mode is not None and error.errno != errno.ELOOP:
                self._chmod_by_name(name, metadata.mode)
            return
        try:
            self._apply(file.fd, metadata)
        finally:
            file.close()

    def remove(self, name: bytes) -> None:
        try:
            posix.unlink(name, dir_fd=self.fd)
        except IsADirectoryError:
            from homeport.copying.removal import remove_tree

            remove_tree(self.fd, name)

    def again(self) -> "RootedDirectory":
        return RootedDirectory(posix.open(b".", READ_DIRECTORY, dir_fd=self.fd), self.filesystem)

    def open_parent(self, expected: object) -> "RootedDirectory":
        parent = RootedDirectory(posix.open(b"..", READ_DIRECTORY, dir_fd=self.fd), self.filesystem)
        status = posix.fstat(parent.fd)
        if (status.st_dev, status.st_ino) != expected:
            parent.close()
            raise OSError(errno.ESTALE, "directory was moved meanwhile")
        return parent

    def lineage(self) -> "Iterable[tuple[int, int]]":
        fd = posix.dup(self.fd)
        last = None
        while True:
            status = posix.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if identity == last:  # the root is its own parent
                break
            yield identity
            last = identity
            above = posix.open(b"..", READ_DIRECTORY, dir_fd=fd)
            posix.close(fd)
            fd = above
        posix.close(fd)

    def close(self) -> None:
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "RootedDirectory":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- metadata

    def _apply(self, fd: int, metadata: Metadata) -> None:
        """Owner first (it clears setuid), then mode, attributes, and the times at last."""
        uid, gid = metadata.uid, metadata.gid
        if uid is not None and gid is not None and self.filesystem.owners:
            posix.chown(fd, uid, gid)
        if metadata.mode is not None:
            posix.chmod(fd, metadata.mode)
        if metadata.xattrs:
            self._set_xattrs(fd, metadata.xattrs)
        mtime = metadata.mtime
        if mtime is not None:
            atime = metadata.atime
            posix.utime(fd, ns=(mtime if atime is None else atime, mtime))

    def _apply_by_name(self, name: bytes, metadata: Metadata) -> None:
        """Of what cannot be opened; its mode it has from the start."""
        uid, gid = metadata.uid, metadata.gid
        if uid is not None and gid is not None and self.filesystem.owners:
            posix.chown(name, uid, gid, dir_fd=self.fd, follow_symlinks=False)
        mtime = metadata.mtime
        if mtime is not None:
            atime = metadata.atime
            posix.utime(
                name,
                ns=(mtime if atime is None else atime, mtime),
                dir_fd=self.fd,
                follow_symlinks=False,
            )

    def _chmod_by_name(self, name: bytes, mode: int) -> None:
        try:
            posix.chmod(name, mode, dir_fd=self.fd, follow_symlinks=False)
        except (NotImplementedError, ValueError, OSError) as error:
            if self.filesystem.warn is not None:
                self.filesystem.warn(f"mode {mode:o} of {shown(name)} was not set: {error}")

    def _set_xattrs(self, fd: int, xattrs: "dict[bytes, bytes]") -> None:
        for key, value in xattrs.items():
            try:
                posix.setxattr(fd, key, value)
            except OSError as error:
                # One refused attribute must not lose the next (a label before a capability).
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                    raise
                if self.filesystem.warn is not None:
                    self.filesystem.warn(
                        f"attribute {key.decode('utf-8', 'replace')} was not kept: {error.strerror}"
                    )


def info_of(status: posix.stat_result) -> Info:
    kind = KIND_OF[status.st_mode & S_IFMT]
    device = (0, 0)
    if kind in ("char", "block"):
        device = (posix.major(status.st_rdev), posix.minor(status.st_rdev))
    return Info(
        kind,
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_atime_ns,
        (status.st_dev, status.st_ino),
        device,
        status.st_nlink,
    )


def read_xattrs(fd: int) -> "dict[bytes, bytes]":
    try:
        names = posix.listxattr(fd)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):
            return {}
        raise
    if not names:
        return {}
    found: dict[bytes, bytes] = {}
    for name in names:
        try:
            found[encode(name)] = posix.getxattr(fd, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP):
                raise
    return found


def copy_content(source: int, target: int, status: posix.stat_result, check: "Check" = None) -> int:
    """The bytes of one descriptor to another, in the kernel if it can; how many.

    Stops where the source ends by now, shorter or longer than ``status`` said.
    """
    size = status.st_size
    if size >= CLONE_FROM:
        from homeport.copying.transfer import clone

        if clone(source, target):
            return size
    if status.st_blocks * 512 < size:
        from homeport.copying.transfer import copy_data_only

        if copy_data_only(source, target, size, check):
            return size
    done = 0
    try:
        while True:
            # Asking for more than there is shows the end without another call.
            wanted = max(size - done, 0) + 4096
            if check is not None:
                check()
                wanted = min(wanted, STEP)
            count = posix.copy_file_range(source, target, wanted)
            done += count
            if count == 0 or (count < wanted and done >= size):
                break
    except OSError as error:
        from homeport.copying.transfer import UNSUPPORTED, send

        if error.errno not in UNSUPPORTED:
            raise

        done += send(source, target, check)
    if done == 0:  # pseudo files have content whatever their size says
        from homeport.copying.transfer import write_content

        done = write_content(RootedFile(source, status), target, check)
    return done
