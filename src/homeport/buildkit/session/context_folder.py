"""A local directory as an engine sees it: filtered, in order, every entry once.

Order and rules are fsutil's: depth first, siblings sorted by bytes, parents before children
and only where something in them is wanted or they are wanted themselves. An engine gets what
it asks for within an ``Offer``, whose ignore rules hold whether it applies them or not. Reads by
handles from the root. Not for the protocol (``homeport.buildkit.session.filesync``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.buildkit.protocol.control import Stat
from homeport.buildkit.protocol.go_filemode import to_go
from homeport.buildkit.session.followpaths import Wanted, follow, open_directory
from homeport.copying.errors import CopyError, shown
from homeport.copying.ignore import Excluded, Ignore
from homeport.errors import HomeportError, UsageError

IGNORE_FILE = b".dockerignore"


class BadContext(UsageError):
    """The build context cannot be read or sent as it is."""

    id = "build-context"


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine asked for, as bytes of path patterns."""

    follow: Sequence[bytes] = ()
    include: Sequence[bytes] = ()
    exclude: Sequence[bytes] = ()


class Offer(msgspec.Struct, frozen=True):
    """A directory for an engine, and what of it an engine may have.

    only:   these paths with what their links lead to; all paths if empty
    ignore: patterns of an ignore file (``homeport.copying.ignore``); what they exclude is not
            sent, except the file ``.dockerignore`` itself, which engines read first
    """

    path: Path
    only: tuple[bytes, ...] = ()
    ignore: tuple[bytes, ...] = ()


class Folder(msgspec.Struct):
    """An open directory; to be closed."""

    offer: Offer
    root: int

    @classmethod
    def open(cls, offer: Offer) -> Folder:
        """Raises ``BadContext``."""
        try:
            return cls(offer, os.open(offer.path, os.O_RDONLY | os.O_DIRECTORY))
        except OSError as error:
            raise BadContext(
                f"cannot read the directory {offer.path}: {error.strerror}",
                where={"file": str(offer.path)},
            ) from error

    @property
    def path(self) -> Path:
        return self.offer.path

    def close(self) -> None:
        if self.root >= 0:
            os.close(self.root)
            self.root = -1

    def entries(self, filters: Filters) -> Iterator[Stat]:
        """Everything wanted. Raises ``BadContext``."""
        try:
            yield from _Walk(self, filters).run()
        except CopyError as error:
            raise BadContext(f"{self.path}: {error.what}", where=error.where) from error

    def open_file(self, path: bytes) -> int:
        """A descriptor to read a regular file from, no link followed."""
        *parts, name = path.split(b"/")
        directory = open_directory(self.root, parts)
        try:
            if directory is None:
                raise OSError(f"{shown(path)} is gone")
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            return os.open(name, flags, dir_fd=directory)
        except OSError as error:
            raise BadContext(
                f"cannot read {shown(path)}: {error.strerror or error}",
                where={"file": str(self.path / os.fsdecode(path))},
            ) from error
        finally:
            if directory is not None:
                os.close(directory)


class _Level(msgspec.Struct, frozen=True):
    """What the filters say of a directory: ``everything`` in it, or what of it."""

    wanted: list[Wanted]
    everything: bool
    included: list[bool] | None
    excluded: Any
    offered: Any


class _Walk:
    def __init__(self, folder: Folder, filters: Filters) -> None:
        self._folder = folder
        self._wanted = follow(folder.root, filters.follow)
        self._include = Ignore(list(filters.include)) if filters.include else None
        self._excluded = Excluded(Ignore(list(filters.exclude)))
        self._offered = _Offered(folder, filters)
        self._unfiltered = (
            not filters.exclude
            and self._include is None
            and self._wanted is None
            and not self._offered.restricts
        )
        self._links: dict[tuple[int, int], bytes] = {}
        #: Directories that are sent as soon as something in them is.
        self._held: list[Stat] = []

    def run(self) -> Iterator[Stat]:
        wanted = [self._wanted] if self._wanted is not None else []
        everything = self._wanted is None and self._include is None
        top = _Level(wanted, everything, None, self._excluded.start(), self._offered.start())
        yield from self._directory(os.dup(self._folder.root), b"", top)

    def _directory(self, fd: int, path: bytes, level: _Level) -> Iterator[Stat]:
        try:
            for name, status in _listing(fd, path, self._folder.path):
                inner = path + b"/" + name if path else name
                below, send, descend = self._judge(level, name, inner)
                if send:
                    yield from self._release()
                    yield self._stat(fd, name, inner, status)
                if not (descend and stat.S_ISDIR(status.st_mode)):
                    continue
                if not send:
                    self._held.append(self._stat(fd, name, inner, status))
                child = _open_child(fd, name, inner, self._folder.path)
                yield from self._directory(child, inner, below)
                if self._held and self._held[-1].path == inner:
                    self._held.pop()
        finally:
            os.close(fd)

    def _judge(self, level: _Level, name: bytes, path: bytes) -> tuple[_Level, bool, bool]:
        """What goes for the entry's inside, whether it is sent, and whether to look inside."""
        if self._unfiltered:
            return level, True, True
        below = [node for each in level.wanted for node in each.below(name)]
        hit = level.everything or any(node.all for node in below)
        hits = level.included
        if not hit and self._include is not None:
            hit, hits = self._include.step(path, level.included)
        state, keep, descend = self._excluded.step(level.excluded, name)
        offered, allowed, deeper = self._offered.step(level.offered, name, path)
        inside = hit or bool(below) or self._include is not None
        return (
            _Level(below, hit, hits, state, offered),
            hit and keep and allowed,
            descend and inside and deeper,
        )

    def _release(self) -> Iterator[Stat]:
        held, self._held = self._held, []
        yield from held

    def _stat(self, fd: int, name: bytes, path: bytes, status: os.stat_result) -> Stat:
        try:
            path.decode()
        except UnicodeDecodeError:
            raise BadContext(
                f"the name {shown(path)} is not UTF-8, which BuildKit does not accept",
                where={"file": str(self._folder.path)},
                hint="rename it, or exclude it in .dockerignore",
            ) from None
        link, size, device = b"", 0, (0, 0)
        if stat.S_ISLNK(status.st_mode):
            link = os.readlink(name, dir_fd=fd)
        elif stat.S_ISREG(status.st_mode):
            size = status.st_size
            if status.st_nlink > 1:
                link = self._links.setdefault((status.st_dev, status.st_ino), path)
                link = b"" if link == path else link
        elif stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
            device = (os.major(status.st_rdev), os.minor(status.st_rdev))
        # Owners are sent as root's, as docker's clients do: what we send is what images get.
        return Stat(
            path=path, mode=to_go(status.st_mode), size=size, mtime=status.st_mtime_ns,
            linkname=link, devmajor=device[0], devminor=device[1], xattrs=_xattrs(fd, name, status),
        )  # fmt: skip


class _Offered:
    """What the folder's ``Offer`` allows, in a walk from the top."""

    def __init__(self, folder: Folder, filters: Filters) -> None:
        offer = folder.offer
        self._only = follow(folder.root, offer.only) if offer.only else None
        # An engine that excludes the same by itself needs no second look.
        ignore = () if tuple(filters.exclude) == offer.ignore else offer.ignore
        self._ignored = Excluded(Ignore(list(ignore)))
        self.restricts = bool(offer.only or ignore)

    def start(self) -> Any:
        return ([self._only] if self._only is not None else None, self._ignored.start())

    def step(self, above: Any, name: bytes, path: bytes) -> tuple[Any, bool, bool]:
        """The state for the entry's inside, whether it may be sent, and whether to look inside."""
        if not self.restricts:
            return above, True, True
        nodes, ignored = above
        ignored, allowed, descend = self._ignored.step(ignored, name)
        if nodes is not None:
            nodes = [node for each in nodes for node in each.below(name)]
            whole = any(node.all for node in nodes)
            allowed, descend = allowed and whole, descend and bool(nodes)
            nodes = None if whole else nodes
        return (nodes, ignored), allowed or path == IGNORE_FILE, descend


def _listing(fd: int, path: bytes, root: Path) -> list[tuple[bytes, os.stat_result]]:
    found = []
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
                except FileNotFoundError:  # removed meanwhile
                    continue
    except OSError as error:
        raise _unreadable(path, root, error) from error
    return sorted(found, key=lambda pair: pair[0])


def _open_child(fd: int, name: bytes, path: bytes, root: Path) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        raise _unreadable(path, root, error) from error


def _unreadable(path: bytes, root: Path, error: OSError) -> HomeportError:
    return BadContext(
        f"cannot read the directory {shown(path) or '.'} of the context: {error.strerror}",
        where={"file": str(root / os.fsdecode(path))},
        hint="exclude it in .dockerignore, or make it readable",
    )


def _xattrs(fd: int, name: bytes, status: os.stat_result) -> dict[str, bytes]:
    """By the directory's handle; of files and directories, where this system has them."""
    if not hasattr(os, "listxattr") or not (
        stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    ):
        return {}
    path = b"/proc/self/fd/%d/%s" % (fd, name)
    try:
        found = os.listxattr(path, follow_symlinks=False)
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in found}
    except OSError:
        return {}
