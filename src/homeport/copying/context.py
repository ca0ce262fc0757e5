"""A build context: a filesystem of which an ignore file hides a part.

What is ignored cannot be seen, as if it had not been sent. An ignored directory with
something below it that a ``!`` takes back is there, with that alone in it. Read only.
"""

import errno

from homeport.copying.resolve import reopen

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from typing import NoReturn

    from homeport.copying.filesystem import Directory, File, Filesystem
    from homeport.copying.ignore import Ignore
    from homeport.copying.metadata import Info

    #: Of a directory: its path, and which patterns hit it.
    State = tuple[bytes, list[bool] | None]


class Context:
    """What of ``filesystem`` the patterns leave."""

    __slots__ = ("_filesystem", "_ignore")

    def __init__(self, filesystem: "Filesystem", ignore: "Ignore") -> None:
        self._filesystem = filesystem
        self._ignore = ignore

    def root(self) -> "ContextDirectory":
        return ContextDirectory(self._filesystem.root(), self._ignore, [])


class ContextDirectory:
    """An open directory that shows what is not ignored."""

    __slots__ = ("_directory", "_ignore", "_states")

    def __init__(self, directory: "Directory", ignore: "Ignore", states: "list[State]") -> None:
        self._directory = directory
        self._ignore = ignore
        self._states = states  # of this directory and of all above it but the root

    # -- reading

    def info(self) -> "Info":
        return self._directory.info()

    def xattrs(self) -> "dict[bytes, bytes]":
        return self._directory.xattrs()

    def entries(self) -> "Iterator[tuple[bytes, str]]":
        for name, kind in self._directory.entries():
            if self._shows(name):
                yield name, kind

    def stat(self, name: bytes) -> "Info | None":
        return self._directory.stat(name) if self._shows(name) else None

    def readlink(self, name: bytes) -> bytes:
        self._must_show(name)
        return self._directory.readlink(name)

    def xattrs_of(self, name: bytes) -> "dict[bytes, bytes]":
        self._must_show(name)
        return self._directory.xattrs_of(name)

    def open_directory(self, name: bytes) -> "ContextDirectory":
        self._must_show(name)
        below = self._directory.open_directory(name)
        return ContextDirectory(below, self._ignore, [*self._states, self._state(name)[1]])

    def open_file(self, name: bytes) -> "File":
        self._must_show(name)
        return self._directory.open_file(name)

    def again(self) -> "ContextDirectory":
        return ContextDirectory(self._directory.again(), self._ignore, self._states)

    def open_parent(self, expected: "Hashable") -> "ContextDirectory":
        parent = self._directory.open_parent(expected)
        return ContextDirectory(parent, self._ignore, self._states[:-1])

    def lineage(self) -> "Iterator[Hashable]":
        yield from self._directory.lineage()

    def close(self) -> None:
        self._directory.close()

    # -- changing

    def _refuse(self, *_: object) -> "NoReturn":
        raise OSError(errno.EROFS, "a build context is only read")

    create_file = create_directory = create_symlink = _refuse
    create_special = create_hardlink = set = set_of = remove = _refuse

    # -- ignoring

    def _state(self, name: bytes) -> "tuple[bool, State]":
        above, hits = self._states[-1] if self._states else (b"", None)
        path = above + b"/" + name if above else name
        ignored, hits = self._ignore.step(path, hits)
        return ignored, (path, hits)

    def _shows(self, name: bytes) -> bool:
        ignored, state = self._state(name)
        if not ignored:
            return True
        if not self._ignore.has_exceptions:
            return False
        return _holds_an_exception(self._directory, name, state, self._ignore)

    def _must_show(self, name: bytes) -> None:
        if not self._shows(name):
            raise OSError(errno.ENOENT, "no such file or directory", name)


def _holds_an_exception(
    directory: "Directory", name: bytes, state: "State", ignore: "Ignore"
) -> bool:
    """Whether below an ignored directory something is not ignored."""
    info = directory.stat(name)
    if info is None or info.kind != "directory":
        return False
    pending = [([name], state)]
    while pending:
        names, (path, hits) = pending.pop()
        here = reopen(_Below(directory), names)
        try:
            for below, kind in here.entries():
                below_path = path + b"/" + below
                ignored, below_hits = ignore.step(below_path, hits)
                if not ignored:
                    return True
                if kind == "directory":
                    pending.append(([*names, below], (below_path, below_hits)))
        finally:
            here.close()
    return False


class _Below:
    """A directory as a filesystem of its own."""

    __slots__ = ("_directory",)

    def __init__(self, directory: "Directory") -> None:
        self._directory = directory

    def root(self) -> "Directory":
        return self._directory.again()
