"""Receiving a directory from the engine: fsutil's protocol, the receiver's side.

Into a directory of ours, merged with what is there as docker's clients do; owners are ours.
Every path is opened component by component from the root's handle, links never followed:
an engine can write nowhere else. Not for archives, which are plain streams.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from homeport.buildkit.protobuf import BadMessage, decode, encode
from homeport.buildkit.protocol.control import DATA, ERR, FIN, REQ, STAT, Packet, Stat
from homeport.buildkit.protocol.go_filemode import (
    CHAR,
    DEVICE,
    DIRECTORY,
    FIFO,
    SYMLINK,
    TYPES,
    permissions,
)
from homeport.buildkit.session.filesync import Wire, framed
from homeport.copying.errors import shown
from homeport.errors import HomeportError

_MOST_ENTRIES = 5_000_000


class CannotReceive(HomeportError):
    """The engine sent a result that cannot be written here."""

    id = "cannot-receive"


async def receive_folder(path: Path, wire: Wire) -> int:
    """Write all that comes into ``path``; how many entries. Raises ``CannotReceive``."""
    path.mkdir(parents=True, exist_ok=True)
    receiving = _Receiving(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY))
    try:
        await receiving.run(wire)
    except OSError as error:
        raise CannotReceive(
            f"cannot write what was built: {error.strerror or error}",
            where={"file": str(error.filename or path)},
        ) from error
    finally:
        os.close(receiving.root)
    return len(receiving.entries)


class _Receiving(msgspec.Struct):
    path: Path
    root: int
    entries: list[Stat] = msgspec.field(default_factory=list)
    waiting: set[int] = msgspec.field(default_factory=set)
    ended: bool = False

    async def run(self, wire: Wire) -> None:
        finished = False
        while (data := await wire.receive()) is not None:
            packet = decode(Packet, data)
            if packet.type == STAT and packet.stat is not None:
                number = len(self.entries)
                if number >= _MOST_ENTRIES:
                    raise CannotReceive(f"the result has more than {_MOST_ENTRIES} entries")
                self.entries.append(packet.stat)
                if self._create(packet.stat):
                    self.waiting.add(number)
                    await wire.send(framed(encode(Packet(type=REQ, id=number))))
            elif packet.type == STAT:
                self.ended = True
            elif packet.type == DATA:
                self._write(packet)
            elif packet.type == ERR:
                raise CannotReceive(packet.data.decode("utf-8", "replace"))
            elif packet.type == FIN:
                return
            if self.ended and not self.waiting and not finished:
                finished = True
                self._set_directories()
                await wire.send(framed(encode(Packet(type=FIN))))
        if not finished:
            raise BadMessage("the engine ended the result early")

    def _create(self, entry: Stat) -> bool:
        """Make the entry; whether its content must be asked for."""
        parent, name = self._parent(entry.path)
        try:
            kind = entry.mode & TYPES
            if kind & DIRECTORY:
                _make_directory(parent, name)
                return False
            _remove(parent, name)
            if kind & SYMLINK:
                os.symlink(entry.linkname, name, dir_fd=parent)
                return False
            if kind & (DEVICE | FIFO):
                _make_special(parent, name, entry)
                return False
            if kind:
                return False  # a socket, which means nothing without its server
            if entry.linkname:
                self._link(entry, parent, name)
                return False
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            os.close(os.open(name, flags, 0o600, dir_fd=parent))
            return True
        finally:
            os.close(parent)

    def _link(self, entry: Stat, parent: int, name: bytes) -> None:
        other, target = self._parent(entry.linkname)
        try:
            os.link(target, name, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(other)

    def _write(self, packet: Packet) -> None:
        if packet.id not in self.waiting:
            raise BadMessage(
                f"the engine sent content for entry {packet.id}, which was not requested"
            )
        entry = self.entries[packet.id]
        parent, name = self._parent(entry.path)
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            view = memoryview(packet.data)
            while view:
                view = view[os.write(descriptor, view) :]
            if not packet.data:
                self.waiting.discard(packet.id)
                _set(descriptor, entry)
        finally:
            os.close(descriptor)

    def _set_directories(self) -> None:
        """Modes and times, the deepest first, after everything in the directories is written."""
        for entry in reversed(self.entries):
            if entry.mode & DIRECTORY:
                parent, _ = self._parent(entry.path + b"/.")
                try:
                    _set(parent, entry)
                finally:
                    os.close(parent)

    def _parent(self, path: bytes) -> tuple[int, bytes]:
        """A descriptor of the directory that an entry is in, and the entry's name in it."""
        *parts, name = path.strip(b"/").split(b"/")
        if b"\0" in path or b".." in parts or name in (b"", b".."):
            raise CannotReceive(f"the engine sent the path {shown(path)}, which leaves the root")
        current = os.dup(self.root)
        for part in parts:
            if part in (b"", b"."):
                continue
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                following = os.open(part, flags, dir_fd=current)
            finally:
                os.close(current)
            current = following
        return current, name


def _make_directory(parent: int, name: bytes) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        try:
            os.close(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent))
        except OSError:
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)


def _remove(parent: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _make_special(parent: int, name: bytes, entry: Stat) -> None:
    if entry.mode & FIFO:
        os.mkfifo(name, permissions(entry.mode), dir_fd=parent)
        return
    kind = 0o020000 if entry.mode & CHAR else 0o060000
    device = os.makedev(entry.devmajor, entry.devminor)
    os.mknod(name, kind | permissions(entry.mode), device, dir_fd=parent)


def _set(descriptor: int, entry: Stat) -> None:
    os.fchmod(descriptor, permissions(entry.mode))
    for key, value in entry.xattrs.items():
        with contextlib.suppress(OSError):  # labels and capabilities need privileges
            os.setxattr(descriptor, key, value)
    os.utime(descriptor, ns=(entry.mtime, entry.mtime))
