"""What a node is and what it shall get (for ``homeport.copying.filesystem``)."""

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Hashable


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

    uid and gid go together. xattrs that the filesystem cannot keep are reported by its warnings
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


#: Leaves a new node as the filesystem makes it.
NO_METADATA = Metadata()
