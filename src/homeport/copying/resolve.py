"""Paths inside a root, as in a chroot: one component after the other, from handles.

Symbolic links are followed by hand: an absolute one starts again at the root, ``..`` stops
there. Never by string prefix, and never by the kernel, which knows another root. What has
no name yet may still be named (a destination that will be made).
"""

import errno

from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.metadata import Metadata

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from homeport.copying.filesystem import Directory, Filesystem
    from homeport.copying.metadata import Info

SETGID = 0o2000
MAX_LINKS = 255  # as Go's continuity, whose users have no more


class ResolvedPath:
    """Where a path leads: an open directory, and what of the path lies below it.

    names:     real names of the directory from the root, no links among them
    directory: open; the caller closes it
    rest:      empty if the path is that directory; one name that is no directory (then with
               ``info``, or there is none yet); more names if even their directory is missing
    """

    __slots__ = ("directory", "info", "names", "rest")

    def __init__(
        self,
        names: "list[bytes]",
        directory: "Directory",
        rest: "list[bytes]",
        info: "Info | None",
    ) -> None:
        self.names = names
        self.directory = directory
        self.rest = rest
        self.info = info

    @property
    def path(self) -> bytes:
        """For messages and for links: from the root, no slash at either end."""
        return b"/".join(self.names + self.rest)

    def close(self) -> None:
        self.directory.close()


def components(path: bytes) -> "list[bytes]":
    """The names of a path. ``..`` stays where it follows a name that may be a link."""
    return [part for part in path.split(b"/") if part and part != b"."]


def clean(path: bytes) -> "list[bytes]":
    """The names of a path with ``..`` taken back by text, stopping at the root (Go's Clean)."""
    found: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if found:
                found.pop()
        elif part and part != b".":
            found.append(part)
    return found


def resolve(
    filesystem: "Filesystem", path: "list[bytes]", follow_last: bool = True
) -> ResolvedPath:
    """Walk ``path`` from the root of ``filesystem``, following links inside it."""
    here = filesystem.root()
    try:
        return _resolve(filesystem, here, path, follow_last)
    except OSError as error:
        raise CopyError(os_error_text(error), {"path": shown(b"/".join(path))}) from error


def _resolve(
    filesystem: "Filesystem", start: "Directory", path: "list[bytes]", follow_last: bool
) -> ResolvedPath:
    here, names = start, list[bytes]()
    pending = path[::-1]
    links = 0
    try:
        while pending:
            name = pending.pop()
            if name == b"..":
                if names:
                    names.pop()
                    here = _move(here, reopen(filesystem, names))
                continue
            info = here.stat(name)
            kind = info.kind if info is not None else ""
            if kind == "directory":
                here = _move(here, here.open_directory(name))
                names.append(name)
            elif kind == "symlink" and (pending or follow_last):
                links += 1
                if links > MAX_LINKS:
                    raise CopyError("too many links", {"path": shown(b"/".join(path))})
                target = here.readlink(name)
                if target.startswith(b"/"):
                    names = []
                    here = _move(here, filesystem.root())
                pending.extend(reversed(components(target)))
            else:
                rest = _lexical([name], pending)
                if rest is None:  # ``missing/..`` is the directory we are in
                    continue
                if info is not None and len(rest) > 1:
                    raise OSError(errno.ENOTDIR, "not a directory")
                return ResolvedPath(names, here, rest, info if len(rest) == 1 else None)
        return ResolvedPath(names, here, [], None)
    except BaseException:
        here.close()
        raise


def _lexical(rest: "list[bytes]", pending: "list[bytes]") -> "list[bytes] | None":
    """What is left of a path below a name that does not exist; takes it off ``pending``."""
    while pending:
        name = pending.pop()
        if name != b"..":
            rest.append(name)
        else:
            rest.pop()
            if not rest:
                return None
    return rest


def _move(old: "Directory", new: "Directory") -> "Directory":
    old.close()
    return new


def reopen(filesystem: "Filesystem", names: "list[bytes]") -> "Directory":
    """The directory of these real names; a link among them by now is an error, not followed."""
    here = filesystem.root()
    for name in names:
        try:
            below = here.open_directory(name)
        finally:
            here.close()
        here = below
    return here


def make_directories(
    filesystem: "Filesystem", resolved: ResolvedPath, metadata: "Metadata", count: int
) -> None:
    """Make the first ``count`` missing directories; ``resolved`` then is in the last of them."""
    for _ in range(count):
        name = resolved.rest.pop(0)
        own = metadata
        if metadata.mode is not None and resolved.directory.info().mode & SETGID:
            # The kernel hands this bit on, and the tools that this one replaces let it.
            own = Metadata(metadata.mode | SETGID, metadata.uid, metadata.gid, metadata.mtime)
        try:
            below = resolved.directory.create_directory(name, own)
        except FileExistsError:
            # Somebody was quicker, or it is a file; a link is refused here.
            below = resolved.directory.open_directory(name)
        resolved.directory = _move(resolved.directory, below)
        resolved.names.append(name)
        resolved.info = None
