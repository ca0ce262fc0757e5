"""What the COPY engine asks of a filesystem: handles, never full paths (one engine, many homes).

A home hands out the handle of its root directory. From a directory handle come the names
in it, what they are, handles of what is below, and every change. A name is one component
of bytes: never empty, ``.``, ``..``, nor with a slash or a zero byte in it. No operation
follows a symbolic link; following them inside a root is ``homeport.copying.resolve``'s.

Homes: ``homeport.copying.rooted`` (a real directory, by openat) and
``homeport.tree.tree_builder`` (a filesystem as data). Both raise ``OSError`` with the
``errno`` a kernel would give (ENOENT, EEXIST, ENOTDIR, ELOOP, ENOTEMPTY, …); the engine
turns it into ``CopyError`` with the place.
"""

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable
    from typing import Any, Protocol


class Info:
    """What a node is.

    kind:     file, directory, symlink, char, block, fifo, socket
    mode:     07777
    mtime:    nanoseconds; so is atime
    device:   major and minor of a char or block device
    identity: equal for two names of one node and for two handles of one directory
    links:    how many names the node has
    """

    __slots__ = (
        "atime",
        "device",
        "gid",
        "identity",
        "kind",
        "links",
        "mode",
        "mtime",
        "size",
        "uid",
    )

    def __init__(
        self,
        kind: str,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime: int = 0,
        atime: int = 0,
        identity: "Hashable" = None,
        device: "tuple[int, int]" = (0, 0),
        links: int = 1,
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime
        self.atime = atime
        self.identity = identity
        self.device = device
        self.links = links


class Metadata:
    """What a node shall get; ``None`` leaves a field as it is or as a new node has it.

    uid and gid go together. xattrs that the home cannot keep are reported by its warnings
    and are not an error. The mode of a symbolic link is ignored.
    """

    __slots__ = ("atime", "gid", "mode", "mtime", "uid", "xattrs")

    def __init__(
        self,
        mode: "int | None" = None,
        uid: "int | None" = None,
        gid: "int | None" = None,
        mtime: "int | None" = None,
        atime: "int | None" = None,
        xattrs: "dict[bytes, bytes] | None" = None,
    ) -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.atime = atime
        self.xattrs = xattrs


if TYPE_CHECKING:

    class Content(Protocol):
        """Bytes that become a file, read once, forward.

        A home that knows the class of a content may do better than read it: clone the
        file behind it, or only refer to it.
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
            """ENOTDIR or ELOOP for anything else, a symbolic link to a directory too."""

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
            """``name`` becomes another name of ``target`` in ``directory`` (of the same home)."""

        def set(self, metadata: Metadata) -> None:
            """Of this directory itself."""

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

    class Home(Protocol):
        """A filesystem."""

        def root(self) -> Directory: ...


class Bytes:
    """A content that is in memory: a heredoc, a generated file."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        part, self._data = self._data[:size], self._data[size:]
        return part

    def take_hole(self) -> int:
        return 0


#: Leaves a new node as the home makes it.
NO_METADATA = Metadata()
