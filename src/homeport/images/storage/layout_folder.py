"""A layout that is written to: everything in it is reached from the handle of its directory.

The directory may belong to another user, who can rename and replace what is in it at any moment.
So no name is looked at first and used later: folders are opened without following links and used
by their handles, files are created anew in a folder that only this user may enter, and are renamed
from handle to handle. Whatever is unfinished lies in one folder ``.homeport-...`` per writer,
locked while its writer lives, so that the next writer can remove what a crash left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from homeport.content.blob import Blob, KnownGood, verified
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.reading import CHUNK
from homeport.copying.removal import remove_tree
from homeport.errors import IntegrityError
from homeport.images.byte_progress import ByteProgress
from homeport.images.image import Missing
from homeport.images.storage.files import BadLayout, DirectoryFiles, FilesBlob
from homeport.progress import CancelToken

_PREFIX = ".homeport-"
_LOCK_POLL = 0.02  # seconds between tries for a lock that another process holds
#: What filesystems without locks answer (some network filesystems): then renames must do.
_NO_LOCKS = frozenset({errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # linux/fs.h; the same on the architectures we know


class LayoutFolder:
    """An open directory. Made by ``opened``."""

    def __init__(self, root: Path, handle: int) -> None:
        self.root = root
        self._handle = handle
        #: The same directory, to be read.
        self.files = DirectoryFiles(root, handle)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, root: Path) -> Iterator[Self]:
        """The directory ``root``, made if need be; the path that the user gave is followed."""
        with explained(root):
            root.mkdir(parents=True, exist_ok=True)
            handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield cls(root, handle)
        finally:
            os.close(handle)

    def names(self, below: str = "") -> list[str]:
        """What is in the directory, or in a folder of it; empty if that is not there."""
        place = self.root / below
        with explained(place, "read"):
            if not below:
                return os.listdir(self._handle)
            handle = os.dup(self._handle)
            try:
                for name in below.split("/"):
                    inner = os.open(name, _FOLDER, dir_fd=handle)
                    os.close(handle)
                    handle = inner
                return os.listdir(handle)
            except FileNotFoundError:
                return []
            finally:
                os.close(handle)

    def write(self, name: str, data: bytes) -> None:
        """Make ``name`` a file with this content, whole and durable, or not at all."""
        with self.unfinished() as scratch, explained(self.root / name):
            with open(name, "wb", opener=_new_in(scratch)) as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(name, name, src_dir_fd=scratch, dst_dir_fd=self._handle)
            _sync(self._handle)

    def remove(self, name: str) -> None:
        """Remove the file ``name`` (with slashes), if it is there."""
        *folders, last = name.split("/")
        with contextlib.suppress(FileNotFoundError), self.folder(*folders) as handle:
            os.unlink(last, dir_fd=handle)

    @contextlib.contextmanager
    def folder(self, *names: str) -> Iterator[int]:
        """The handle of a folder below the directory, made if need be; links are not followed."""
        handle = os.dup(self._handle)
        place = self.root
        try:
            for name in names:
                place /= name
                inner = _folder_in(handle, name, place)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def unfinished(self) -> Iterator[int]:
        """The handle of a folder for unfinished files; removed when the block ends."""
        name, handle = self._locked_folder()
        try:
            yield handle
        finally:
            os.close(handle)
            with contextlib.suppress(OSError):
                remove_tree(self._handle, os.fsencode(name))

    def remove_abandoned(self) -> None:
        """Remove what writers that did not live to their end have left."""
        for name in self.names():
            if not name.startswith(_PREFIX):
                continue
            with contextlib.suppress(OSError):
                handle = os.open(name, _FOLDER, dir_fd=self._handle)
                try:
                    if _try_lock(handle):
                        # By handles, too: a link that takes its place is not followed.
                        remove_tree(self._handle, os.fsencode(name))
                finally:
                    os.close(handle)

    @contextlib.contextmanager
    def locked(self, cancel: CancelToken) -> Iterator[None]:
        """While the block runs, no other writer of the directory is inside one."""
        with _lock_on(".", self._handle, cancel, exclusive=True):
            yield

    @contextlib.contextmanager
    def blobs_locked(self, cancel: CancelToken, *, exclusive: bool = False) -> Iterator[None]:
        """While the block runs, blobs are written by any number, or removed by one (exclusive)."""
        with _lock_on("blobs", self._handle, cancel, exclusive=exclusive):
            yield

    def holds(self, name: str, digest: Digest, size: int, known: KnownGoodFiles) -> bool:
        """Whether the file ``name`` has these very bytes; it is read, unless ``known``."""
        blob = FilesBlob(self.files, name, digest, size)
        try:
            state = known.state(blob)
            if known.has(state):
                return True
            with verified(blob, name) as stream:
                while stream.read(CHUNK):
                    pass
        except (Missing, IntegrityError, BadLayout):
            return False
        known.add(state, blob)
        return True

    def place(self, blob: Blob, name: str, scratch: int, progress: ByteProgress) -> None:
        """Make ``name`` a file with the content of ``blob``, whole and durable, or not at all.

        Every blob is read for its size and digest, also where its file is cloned or linked; only
        what this very process has verified and synced a moment ago is not read again.
        """
        *folders, last = name.split("/")
        target = self.root / name
        with self.folder(*folders) as folder:
            unfinished = os.urandom(8).hex()
            good = blob.verified_file() if isinstance(blob, KnownGood) else None
            if good is not None and _share(good, scratch, unfinished):
                progress.advance(blob.size)
            else:
                _copy(blob, scratch, unfinished, target, progress)
            with explained(target):
                _sync_file(unfinished, scratch)
                os.rename(unfinished, last, src_dir_fd=scratch, dst_dir_fd=folder)
                with contextlib.suppress(OSError):  # renaming a link over its twin leaves both
                    os.unlink(unfinished, dir_fd=scratch)
                _sync(folder)

    def _locked_folder(self) -> tuple[str, int]:
        """A new folder that only we may enter, and the open handle that holds its lock."""
        while True:
            name = f"{_PREFIX}{os.urandom(8).hex()}"
            with explained(self.root / name):
                os.mkdir(name, 0o700, dir_fd=self._handle)
            # Between the two steps another writer may have taken it for abandoned.
            with contextlib.suppress(OSError):
                handle = os.open(name, _FOLDER, dir_fd=self._handle)
                if _try_lock(handle) and _is_still(name, self._handle, handle):
                    return name, handle
                os.close(handle)


def _folder_in(handle: int, name: str, place: Path) -> int:
    with explained(place):
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=handle)
        try:
            return os.open(name, _FOLDER, dir_fd=handle)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
    raise BadLayout(f"{place} is a link, or not a directory: nothing was written there")


def _copy(blob: Blob, scratch: int, name: str, target: Path, progress: ByteProgress) -> None:
    source = blob.local_path()
    shared = source is not None and _share(source, scratch, name)
    with verified(blob, target.name) as stream, explained(target):
        if shared:
            while chunk := stream.read(CHUNK):
                progress.advance(len(chunk))
            return
        with open(name, "wb", opener=_new_in(scratch)) as out:
            while chunk := stream.read(CHUNK):
                out.write(chunk)
                progress.advance(len(chunk))


def _share(source: Path, scratch: int, name: str) -> bool:
    """Make ``name`` the content of a file of ours without copying it; whether that worked."""
    with contextlib.suppress(OSError):
        return _clone(source, scratch, name)
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=scratch)
        os.link(source, name, dst_dir_fd=scratch)
        return True
    return False


def _clone(source: Path, scratch: int, name: str) -> bool:
    with source.open("rb") as original, open(name, "wb", opener=_new_in(scratch)) as copy:
        fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
    return True


def _new_in(folder: int) -> Callable[[str, int], int]:
    """An opener of new files in a folder, as the umask allows."""
    return lambda name, _flags: os.open(name, _NEW, 0o644, dir_fd=folder)


def _sync_file(name: str, folder: int) -> None:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: int) -> None:
    with contextlib.suppress(OSError):  # where a filesystem cannot
        os.fsync(folder)


def _is_still(name: str, parent: int, handle: int) -> bool:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    return stat.S_ISDIR(found.st_mode) and os.path.samestat(found, os.fstat(handle))


@contextlib.contextmanager
def _lock_on(name: str, parent: int, cancel: CancelToken, *, exclusive: bool) -> Iterator[None]:
    handle = os.open(name, _FOLDER, dir_fd=parent)
    try:
        while not _try_lock(handle, exclusive=exclusive):
            cancel.wait(_LOCK_POLL)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int, *, exclusive: bool = True) -> bool:
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
