"""What the COPY engine needs of a filesystem: handles, never full paths.

A filesystem opens its root directory. A directory handle gives the names in it, what they
are, handles of what is below, and makes every change. A name is one component of bytes:
never empty, ``.``, ``..``, nor with a slash or a zero byte in it. No operation follows a
symbolic link; ``homeport.copying.resolve`` follows them inside a root.

Implemented by ``homeport.copying.rooted`` (a real directory, by openat),
``homeport.copying.dry_run`` (another filesystem, unchanged) and ``homeport.copying.context``
(another without what an ignore file names). All raise ``OSError`` with the ``errno`` a kernel
would give (ENOENT, EEXIST, ENOTDIR, ELOOP, …); the engine turns it into ``CopyError`` with
the place.

For type checkers and readers alone: nothing imports this module when it runs.
"""

from collections.abc import Hashable, Iterable
from typing import Any, Protocol

from homeport.copying.metadata import Info, Metadata


class Content(Protocol):
    """Bytes that become a file, read once, forward.

    A filesystem that knows the class of a content may clone the file behind it instead of
    reading it.
    """

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; ``b""`` at the end."""

    def take_hole(self) -> int:
        """Skip the hole that comes next; its length, 0 where data come next."""


class File(Content, Protocol):
    """An open regular file."""

    def info(self) -> Info:
        """Of what was opened, not of what has the name now."""

    def xattrs(self) -> dict[bytes, bytes]: ...

    def close(self) -> None: ...


class Directory(Protocol):
    """An open directory. Closing it twice is harmless."""

    # reading
    def info(self) -> Info: ...
    def xattrs(self) -> dict[bytes, bytes]: ...

    def entries(self) -> Iterable[tuple[bytes, str]]:
        """Names with their kinds, in no order; kind is "" where it is not known for free."""

    def stat(self, name: bytes) -> Info | None:
        """``None`` if there is no such name."""

    def readlink(self, name: bytes) -> bytes: ...
    def xattrs_of(self, name: bytes) -> dict[bytes, bytes]:
        """Of what is neither file nor directory."""

    def open_directory(self, name: bytes) -> "Directory":
        """ENOTDIR for anything else, a symbolic link to a directory too."""

    def open_file(self, name: bytes) -> File:
        """ELOOP for a symbolic link; never blocks on what is no regular file (EINVAL)."""

    # changing: each creates a new name or raises FileExistsError
    def create_file(self, name: bytes, content: Content, metadata: Metadata) -> int:
        """All of it or nothing: after an error the name does not exist. Its size."""

    def create_directory(self, name: bytes, metadata: Metadata) -> "Directory": ...
    def create_symlink(self, name: bytes, target: bytes, metadata: Metadata) -> None: ...
    def create_special(
        self, name: bytes, kind: str, device: tuple[int, int], metadata: Metadata
    ) -> None: ...
    def create_hardlink(self, name: bytes, directory: Any, target: bytes) -> None:
        """``name`` becomes another name of ``target`` in ``directory`` (of the same filesystem)."""

    def set(self, metadata: Metadata) -> None:
        """Of this directory itself."""

    def set_of(self, name: bytes, metadata: Metadata) -> None:
        """Of what is no directory; a symbolic link has no mode."""

    def remove(self, name: bytes) -> None:
        """With all below it, if it is a directory."""

    def again(self) -> "Directory":
        """Another handle of this directory."""

    # handles are few: a deep walk closes those far up and comes back by this
    def open_parent(self, expected: Hashable) -> "Directory":
        """The directory above; ESTALE if its identity is not the expected one any more."""

    def lineage(self) -> Iterable[Hashable]:
        """Identities of this directory and of all above it, as far as can be seen."""

    def close(self) -> None: ...


class Filesystem(Protocol):
    """A filesystem."""

    def root(self) -> Directory: ...
