"""Named files of a layout, whether they lie in a directory or in a tar archive.

What reads a layout (``images.transports.oci_layout``, ``images.transports.docker_archive``)
knows only ``Files``. Names are relative paths with ``/``; nothing outside of the directory or
archive can be reached, by ``..``, absolute names, or links: in a directory links are not
followed at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import msgspec

from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import read_bounded
from homeport.errors import HomeportError, IntegrityError
from homeport.images.image import Missing
from homeport.quantities import apart


class BadLayout(HomeportError):
    """A directory or an archive that is not what its address says."""

    id = "bad-layout"


class Files(Protocol):
    """Read-only files by name. Safe to use from several threads."""

    @property
    def place(self) -> str:
        """The directory or archive, for messages."""

    def size(self, name: str) -> int | None:
        """Bytes of the file, or ``None`` if there is no such file."""

    def resolved(self, name: str) -> str:
        """The name of the file itself where ``name`` is a link to it."""

    def open(self, name: str, offset: int = 0) -> BinaryIO:
        """A reader from ``offset``. Raises ``Missing`` or ``BadLayout``."""


class FilesBlob(msgspec.Struct, frozen=True):
    """A Blob that is a file of a layout; its digest is a claim until it is read verified."""

    files: Files
    name: str
    digest: Digest
    size: int

    def open(self, offset: int = 0) -> BinaryIO:
        found = self.files.size(self.name)
        if found is None:
            raise missing(self.files, self.name, self.digest)
        if found != self.size:
            size, wanted = apart(found, self.size)
            raise IntegrityError(
                f"{self.name} has {size}, {wanted} were expected",
                where={"file": f"{self.files.place}/{self.name}", "digest": str(self.digest)},
            )
        return self.files.open(self.name, offset)

    def local_path(self) -> Path | None:
        return None  # it was not verified


def missing(files: Files, name: str, digest: Digest | None = None) -> Missing:
    where: dict[str, str | int] = {"file": f"{files.place}/{name}"}
    if digest:
        where["digest"] = str(digest)
    return Missing(f"{files.place} lacks {name}", where=where)


def read_small(files: Files, name: str, limit: int, what: str) -> bytes:
    """The whole of a file of at most ``limit`` bytes."""
    with files.open(name) as stream:
        try:
            return read_bounded(stream, limit, what)
        except HomeportError as error:
            raise error.at(file=f"{files.place}/{name}")  # noqa: B904  the same error


class DirectoryFiles:
    """The files of a directory, reached name by name from its handle."""

    def __init__(self, root: Path, handle: int | None = None) -> None:
        """``handle``: of the directory, if it is open already."""
        self._root = root
        self._handle = handle

    @property
    def place(self) -> str:
        return str(self._root)

    def resolved(self, name: str) -> str:
        return name

    def size(self, name: str) -> int | None:
        with contextlib.suppress(Missing), self._parent(name) as (folder, last):
            try:
                found = os.stat(last, dir_fd=folder, follow_symlinks=False)
            except OSError:
                return None
            self._require_file(found, name)
            return found.st_size
        return None

    def open(self, name: str, offset: int = 0) -> BinaryIO:
        with self._parent(name) as (folder, last):
            try:
                # Non-blocking, so that a named pipe put there cannot stop us.
                descriptor = os.open(
                    last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder
                )
            except OSError as error:
                raise self._refused(error, name) from error
        stream = os.fdopen(descriptor, "rb")
        try:
            self._require_file(os.fstat(descriptor), name)
            stream.seek(offset)
        except BaseException:
            stream.close()
            raise
        return cast("BinaryIO", stream)

    @contextlib.contextmanager
    def _parent(self, name: str) -> Iterator[tuple[int, str]]:
        """A handle on the folder that holds ``name``, and the last part of the name."""
        *folders, last = name.split("/")
        with explained(self._root, "read"):
            root = self._root if self._handle is None else "."
            handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY, dir_fd=self._handle)
        try:
            for folder in folders:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                try:
                    inner = os.open(folder, flags, dir_fd=handle)
                except OSError as error:
                    raise self._refused(error, name) from error
                os.close(handle)
                handle = inner
            yield handle, last
        finally:
            os.close(handle)

    def _refused(self, error: OSError, name: str) -> HomeportError:
        if error.errno == errno.ENOENT:
            return missing(self, name)
        where = {"file": f"{self.place}/{name}"}
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            return BadLayout(
                f"{self.place}/{name} is reached by a symbolic link or through a file",
                where=where,
                hint="copy the layout with its links followed (cp -RL) and read the copy",
            )
        return BadLayout(
            f"cannot read {self.place}/{name}: {os.strerror(error.errno or 0)}", where=where
        )

    def _require_file(self, status: os.stat_result, name: str) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise BadLayout(
                f"{self.place}/{name} is not a regular file",
                where={"file": f"{self.place}/{name}"},
            )
