"""Receiving a directory from the engine: fsutil's protocol, the receiver's side.

Into a directory of ours, merged with what is there as docker's clients do; owners are ours.
An engine is not trusted with the disk: every path is opened component by component from the
root's handle, links never followed. As in ``homeport extract``, setuid bits and attributes
outside ``user.`` are dropped, and devices, FIFOs and sockets are skipped. Not for archives,
which are plain streams.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.budget import Budget
from homeport.buildkit.protobuf import BadMessage, decode, encode
from homeport.buildkit.protocol.control import DATA, ERR, FIN, REQ, STAT, Packet, Stat
from homeport.buildkit.protocol.go_filemode import DIRECTORY, SYMLINK, TYPES
from homeport.buildkit.session.filesync import Wire, framed
from homeport.content.files import write_hint
from homeport.copying.errors import shown
from homeport.errors import HomeportError

_MOST_OPEN = 128  # files that are written at the same time
_ATTRIBUTES_LIMIT = 64 << 10  # of one entry, as Linux has it
_LATEST = 1 << 62  # nanoseconds; later times do not fit into every filesystem


class CannotReceive(HomeportError):
    """The engine sent a result that cannot be written here."""

    id = "cannot-receive"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What came. ``skipped``: paths of devices, FIFOs and sockets, which were not made."""

    entries: int
    skipped: tuple[bytes, ...]


async def receive_folder(path: Path, wire: Wire) -> Received:
    """Write all that comes into ``path``. Raises ``CannotReceive``, ``LimitExceeded``."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        receiving = _Receiving(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        try:
            await receiving.run(wire)
        finally:
            receiving.close()
    except OSError as error:
        raise CannotReceive(
            f"cannot write what was built: {error.strerror or error}",
            where={"file": str(error.filename or path)}, hint=write_hint(error),
        ) from error  # fmt: skip
    return Received(entries=receiving.count, skipped=tuple(receiving.skipped))


class _Entry(msgspec.Struct, frozen=True):
    """What is kept of a STAT. ``target``: the earlier path that a hard link is another name of."""

    path: bytes
    mode: int
    mtime: int
    attributes: dict[str, bytes]
    target: bytes = b""


class _Open(msgspec.Struct, frozen=True):
    """A file that waits for content; whatever happens to its name, this is what is written."""

    entry: _Entry
    descriptor: int


class _Receiving:
    """The state of one transfer; ``close`` closes its descriptors.

    A file is made when its content is requested, and its descriptor takes the content. Hard
    links follow when all files are there, modes and times of directories come last.
    """

    def __init__(self, root: int) -> None:
        self.count = 0
        self.skipped: list[bytes] = []
        self._root = root
        self._budget = Budget("the result of the engine")
        self._order = _Order()
        self._queue: deque[tuple[int, _Entry]] = deque()
        self._open: dict[int, _Open] = {}
        self._files: set[bytes] = set()
        self._links: list[_Entry] = []
        self._directories: list[_Entry] = []
        self._listed = self._finished = False

    def close(self) -> None:
        for file in self._open.values():
            os.close(file.descriptor)
        self._open.clear()
        os.close(self._root)

    async def run(self, wire: Wire) -> None:
        while (data := await wire.receive()) is not None:
            packet = decode(Packet, data)
            if packet.type == STAT and packet.stat is not None and not self._listed:
                self._take(packet.stat)
            elif packet.type == STAT:
                self._listed = True
            elif packet.type == DATA:
                self._write(packet)
            elif packet.type == ERR:
                raise CannotReceive(packet.data.decode("utf-8", "replace"))
            elif packet.type == FIN:
                break
            await self._advance(wire)
        if not self._finished:
            raise BadMessage("the engine ended the result early")

    async def _advance(self, wire: Wire) -> None:
        """Request more contents, and say so when nothing is missing any longer."""
        while self._queue and len(self._open) < _MOST_OPEN:
            number, entry = self._queue.popleft()
            self._open[number] = _Open(entry, self._create(entry.path))
            await wire.send(framed(encode(Packet(type=REQ, id=number))))
        if self._listed and not self._open and not self._finished:
            self._finished = True
            for link in self._links:
                self._link(link)
            self._set_directories()
            await wire.send(framed(encode(Packet(type=FIN))))

    def _take(self, stat: Stat) -> None:
        """Make a directory or symbolic link; note what is made later."""
        kind = stat.mode & TYPES
        parts = _parts(stat.path)
        self._budget.entry(stat.path)
        self._order.check(parts, directory=bool(kind & DIRECTORY))
        number, self.count = self.count, self.count + 1
        entry = self._kept(stat)
        if kind & DIRECTORY:
            self._directories.append(entry)
            self._make_directory(parts)
        elif kind & SYMLINK:
            self._make_symlink(parts, stat.linkname)
        elif kind:
            self.skipped.append(stat.path)
        elif stat.linkname:
            if stat.linkname not in self._files:
                raise CannotReceive(
                    f"the engine sent {shown(stat.path)} as a hard link to"
                    f" {shown(stat.linkname)}, which is not a file of the result"
                )
            self._links.append(entry)
        else:
            self._files.add(stat.path)
            self._queue.append((number, entry))

    def _kept(self, stat: Stat) -> _Entry:
        attributes = {
            key: value
            for key, value in stat.xattrs.items()
            if key.startswith("user.") and "\0" not in key
        }
        size = sum(len(key) + len(value) for key, value in attributes.items())
        if size > _ATTRIBUTES_LIMIT:
            raise CannotReceive(f"{shown(stat.path)} has more than 64 KiB of extended attributes")
        self._budget.memory(size)
        return _Entry(
            path=stat.path,
            mode=stat.mode & 0o777,
            mtime=max(0, min(stat.mtime, _LATEST)),
            attributes=attributes,
            target=stat.linkname,
        )

    def _make_directory(self, parts: list[bytes]) -> None:
        with self._parent(parts) as (parent, name):
            try:
                os.mkdir(name, 0o700, dir_fd=parent)
            except FileExistsError:
                try:
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                    os.close(os.open(name, flags, dir_fd=parent))
                except OSError:
                    os.unlink(name, dir_fd=parent)
                    os.mkdir(name, 0o700, dir_fd=parent)

    def _make_symlink(self, parts: list[bytes], target: bytes) -> None:
        if not target or b"\0" in target:
            raise CannotReceive(f"{shown(b'/'.join(parts))}: invalid target {shown(target)}")
        with self._parent(parts) as (parent, name):
            _remove(parent, name)
            os.symlink(target, name, dir_fd=parent)

    def _create(self, path: bytes) -> int:
        """A new file; its descriptor."""
        with self._parent(path.split(b"/")) as (parent, name):
            _remove(parent, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            return os.open(name, flags, 0o600, dir_fd=parent)

    def _write(self, packet: Packet) -> None:
        file = self._open.get(packet.id)
        if file is None:
            raise BadMessage(
                f"the engine sent content for entry {packet.id}, which was not requested"
            )
        self._budget.data(len(packet.data))
        view = memoryview(packet.data)
        while view:
            view = view[os.write(file.descriptor, view) :]
        if not packet.data:
            _set(file.descriptor, file.entry, file.entry.mode)
            del self._open[packet.id]
            os.close(file.descriptor)

    def _link(self, link: _Entry) -> None:
        with (
            self._parent(link.target.split(b"/")) as (other, target),
            self._parent(link.path.split(b"/")) as (parent, name),
        ):
            _remove(parent, name)
            os.link(target, name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)

    def _set_directories(self) -> None:
        """Modes and times, the deepest first, after everything in the directories is written."""
        for entry in reversed(self._directories):
            with self._parent([*entry.path.split(b"/"), b""]) as (directory, _):
                _set(directory, entry, entry.mode | 0o700)

    @contextlib.contextmanager
    def _parent(self, parts: list[bytes]) -> Iterator[tuple[int, bytes]]:
        """A descriptor of the directory that an entry is in, and the entry's name in it."""
        current = os.dup(self._root)
        try:
            for part in parts[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                following = os.open(part, flags, dir_fd=current)
                os.close(current)
                current = following
            yield current, parts[-1]
        finally:
            os.close(current)


class _Order:
    """fsutil's order: depth first, siblings sorted by bytes, each below a directory of before.

    So no path comes twice, and none leads through a link. Go's clients check the same
    (fsutil, validator.go).
    """

    def __init__(self) -> None:
        self._directories: list[bytes] = []  # names, from the root to the current one
        self._last: list[bytes] = [b""]  # the last name in each, that of the root first

    def check(self, parts: list[bytes], *, directory: bool) -> None:
        """The next entry. Raises ``CannotReceive``."""
        *above, name = parts
        if above != self._directories[: len(above)] or name <= self._last[len(above)]:
            raise CannotReceive(
                f"the engine sent {shown(b'/'.join(parts))} twice, out of order or outside a"
                " directory of the result"
            )
        del self._directories[len(above) :], self._last[len(above) :]
        self._last.append(name)
        if directory:
            self._directories.append(name)
            self._last.append(b"")


def _parts(path: bytes) -> list[bytes]:
    """The components of a path that is relative, plain and inside the root."""
    parts = path.split(b"/")
    if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise CannotReceive(f"the engine sent the invalid path {shown(path)}")
    return parts


def _remove(parent: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _set(descriptor: int, entry: _Entry, mode: int) -> None:
    os.fchmod(descriptor, mode)
    for key, value in entry.attributes.items():
        with contextlib.suppress(OSError):  # not every filesystem has them
            os.setxattr(descriptor, key, value)
    os.utime(descriptor, ns=(entry.mtime, entry.mtime))
