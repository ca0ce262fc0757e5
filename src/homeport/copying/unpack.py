"""ADD's archives: recognised by content, unpacked below one directory and nowhere else.

Members are placed from handles, links on the way resolved with the destination as their
root (``homeport.copying.resolve``), so no name, link or race leads out of it. A member that
cannot be read to its end leaves no file.
"""

from homeport.copying.engine import Copier, Destination
from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.metadata import Metadata
from homeport.copying.resolve import (
    SETGID,
    ResolvedPath,
    clean,
    components,
    make_directories,
    reopen,
    resolve,
)
from homeport.copying.tarstream import Member, TarReader

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable

    from homeport.copying.filesystem import Directory
    from homeport.copying.metadata import Info
    from homeport.copying.tarstream import Stream

    #: From compressed to plain bytes; raises ``CopyError`` for corrupt or truncated input.
    Opener = Callable[[Stream], Stream]

PEEK = 1 << 16
#: What may follow the end of an archive: it is read so that checksums behind it are checked.
MAX_REST = 64 << 20
KEPT_OPEN = 16


def compression(start: bytes) -> str:
    """The compression of a file by its first bytes, ``""`` for none that is known."""
    if len(start) >= 6:
        if start.startswith(b"\x1f\x8b\x08"):
            return "gzip"
        if start.startswith(b"BZh"):
            return "bzip2"
        if start.startswith(b"\xfd7zXZ\x00"):
            return "xz"
    if len(start) >= 8 and (
        start.startswith(b"\x28\xb5\x2f\xfd")
        or (start[0] & 0xF0 == 0x50 and start[1:4] == b"\x2a\x4d\x18")
    ):
        return "zstd"
    return ""


class Archives:
    """Unpacks tar archives, plain or in one of the compressions of ``openers``."""

    __slots__ = ("openers",)

    def __init__(self, openers: "dict[str, Opener]") -> None:
        self.openers = openers

    def unpack_if_archive(
        self, copier: Copier, source: ResolvedPath, destination: Destination
    ) -> bool:
        """Unpack the file ``source`` if it is an archive; else ``False``, nothing done."""
        if source.info is None or source.info.kind != "file" or source.info.size == 0:
            return False
        name = source.rest[0]
        file = source.directory.open_file(name)
        try:
            found = self._first(file, copier.options.rules.zstd)
            if found is None:
                return False
            stream, reader, member = found
            try:
                unpack(copier, reader, member, destination)
                _drain(stream)
            except CopyError as error:
                raise error.at(archive=shown(source.path)) from error.__cause__
        finally:
            file.close()
        return True

    def _first(self, file: "Stream", with_zstd: bool) -> "tuple[Stream, TarReader, Member] | None":
        start = file.read(PEEK)
        stream: Stream = Joined(start, file)
        kind = compression(start)
        if kind == "zstd" and not with_zstd:
            return None
        if kind:
            if kind not in self.openers:
                return None
            stream = self.openers[kind](stream)
        reader = TarReader(stream, global_pax=not with_zstd)
        try:
            member = reader.next()
        except CopyError:
            return None
        return None if member is None else (stream, reader, member)


class Joined:
    """What was read already, and then the rest."""

    __slots__ = ("_rest", "_start")

    def __init__(self, start: bytes, rest: "Stream") -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._start:
            part, self._start = self._start[:size], self._start[size:]
            return part
        return self._rest.read(size)


def unpack(
    copier: Copier, reader: TarReader, first: "Member | None", destination: Destination
) -> None:
    """Unpack an archive into a directory, which is made if it is missing."""
    resolved = copier.make_directory(destination)
    unpacking = Unpacking(copier, reader, resolved)
    try:
        member = first if first is not None else reader.next()
        while member is not None:
            try:
                unpacking.add(member)
            except OSError as error:
                raise CopyError(
                    os_error_text(error), {"member": shown(member.name), "position": member.offset}
                ) from error
            except CopyError as error:
                raise error.at(
                    member=shown(member.name), position=member.offset
                ) from error.__cause__
            member = reader.next()
        unpacking.finish()
    finally:
        unpacking.close()
        resolved.close()


class Unpacking:
    """One archive on its way below one directory."""

    def __init__(self, copier: Copier, reader: TarReader, resolved: ResolvedPath) -> None:
        self._copier = copier
        self._options = copier.options
        self._reader = reader
        self._base = resolved.names
        self._top = resolved.directory
        owner = self._options.owner or (0, 0)
        self._parent = Metadata(0o755, owner[0], owner[1], self._options.time)
        self._open: dict[
            bytes, ResolvedPath
        ] = {}  # parents of the last members, by name as written
        self._later: dict[bytes, Metadata] = {}  # of directories: what is below changes times

    def root(self) -> "Directory":
        """This object is the filesystem in which links are resolved."""
        return self._top.again()

    def add(self, member: Member) -> None:
        names = self._names(member.name)
        if not names:
            # A file without a name (some programs cut a directory's name off) is passed over, as
            # containerd does. Metadata of the top: as tar; BuildKit leaves the top alone.
            if member.kind == "directory" and self._options.rules.strict_archives:
                self._later[b""] = self._metadata(member)
            return
        parent = self._parent_of(names)
        name = names[-1]
        self._copier.count_written(member.size)
        if member.kind == "directory":
            self._directory(parent, name, member)
        elif member.kind == "hardlink":
            self._hardlink(parent, name, member)
        else:
            self._other(parent, name, member)
        if self._options.report is not None:
            self._options.report(b"/".join([*self._base, *parent.names, name]), member.kind)

    def finish(self) -> None:
        """Directories get modes and times now that nothing more comes into them."""
        for path, metadata in reversed(self._later.items()):
            try:
                directory = reopen(self, components(path))
            except OSError:
                continue  # replaced by a later member
            try:
                directory.set(metadata)
            finally:
                directory.close()

    def close(self) -> None:
        for resolved in self._open.values():
            resolved.close()
        self._open.clear()

    # -- members by kind

    def _directory(self, parent: ResolvedPath, name: bytes, member: Member) -> None:
        info = parent.directory.stat(name)
        if info is not None and info.kind != "directory":
            self._remove(parent, name)
            info = None
        setgid = self._setgid_until_the_end(parent, info, member)
        if info is None:
            parent.directory.create_directory(name, Metadata(0o700 | setgid)).close()
        elif info.mode & SETGID != setgid:
            directory = parent.directory.open_directory(name)
            try:
                directory.set(Metadata(info.mode ^ SETGID))
            finally:
                directory.close()
        self._later[b"/".join([*parent.names, name])] = self._metadata(member)

    def _setgid_until_the_end(
        self, parent: ResolvedPath, info: "Info | None", member: Member
    ) -> int:
        """What directories implied below find: GNU tar sets the member's bit after them all."""
        if not self._options.rules.strict_archives:
            return member.mode & SETGID
        above = info if info is not None else parent.directory.info()
        return above.mode & SETGID

    def _hardlink(self, parent: ResolvedPath, name: bytes, member: Member) -> None:
        target = self._names(member.link)
        if not target:
            raise CopyError("a hard link has no target", {"link": shown(member.link)})
        resolved = resolve(self, target[:-1])
        try:
            info = None if resolved.rest else resolved.directory.stat(target[-1])
            if info is None:
                raise CopyError(
                    "the target of a hard link does not exist", {"link": shown(member.link)}
                )
            if info.kind == "directory":
                raise CopyError(
                    "the target of a hard link is a directory", {"link": shown(member.link)}
                )
            there = parent.directory.stat(name)
            if there is not None and there.identity != info.identity:
                self._remove(parent, name)
                there = None
            if there is None:
                parent.directory.create_hardlink(name, resolved.directory, target[-1])
            if not self._options.rules.strict_archives:
                self._describe_again(parent, name, info, member)
        finally:
            resolved.close()

    def _describe_again(
        self, parent: ResolvedPath, name: bytes, info: "Info", member: Member
    ) -> None:
        """BuildKit lets the header of a hard link hold for its file; GNU tar does not.

        Of a symbolic link only the owner.
        """
        metadata = self._metadata(member)
        if info.kind == "symlink":
            metadata = Metadata(None, metadata.uid, metadata.gid)
        metadata.xattrs = None
        parent.directory.set_of(name, metadata)

    def _other(self, parent: ResolvedPath, name: bytes, member: Member) -> None:
        metadata = self._metadata(member)
        directory = parent.directory
        try:
            self._create(directory, name, member, metadata)
        except FileExistsError:
            self._remove(parent, name)
            self._create(directory, name, member, metadata)

    def _create(
        self, directory: "Directory", name: bytes, member: Member, metadata: Metadata
    ) -> None:
        if member.kind == "file":
            directory.create_file(name, self._reader, metadata)
        elif member.kind == "symlink":
            if not member.link or b"\0" in member.link:
                raise CopyError("a symbolic link has no target")
            directory.create_symlink(name, member.link, metadata)
        else:
            directory.create_special(name, member.kind, member.device, metadata)

    def _remove(self, parent: ResolvedPath, name: bytes) -> None:
        """Remove whatever has the name, and close handles of what was below it."""
        kept = self._open.pop(b"", None)
        for key in list(self._open):
            if self._open[key] is not parent:
                self._open.pop(key).close()
        if kept is not None:
            self._open[b""] = kept
        parent.directory.remove(name)
        if self._options.report is not None:
            self._options.report(b"/".join([*self._base, *parent.names, name]), "replaced")

    # -- names

    def _names(self, name: bytes) -> "list[bytes]":
        """Below the destination whatever is written: ``..`` stops there, or is refused."""
        if b"\0" in name:
            raise CopyError("a name contains a zero byte")
        if self._options.rules.strict_archives and b".." in components(name):
            raise CopyError("a name contains '..'", {"name": shown(name)})
        return clean(name)

    def _parent_of(self, names: "list[bytes]") -> ResolvedPath:
        key = b"/".join(names[:-1])
        resolved = self._open.get(key)
        if resolved is not None:
            return resolved
        resolved = resolve(self, names[:-1])
        try:
            if resolved.info is not None:
                raise CopyError("not a directory", {"path": shown(resolved.path)})
            make_directories(self, resolved, self._parent, len(resolved.rest))
        except BaseException:
            resolved.close()
            raise
        if len(self._open) >= KEPT_OPEN:
            self._open.pop(next(iter(self._open))).close()
        self._open[key] = resolved
        return resolved

    def _metadata(self, member: Member) -> Metadata:
        uid, gid = self._options.owner or (member.uid, member.gid)
        time = member.mtime if self._options.time is None else self._options.time
        return Metadata(member.mode, uid, gid, time, None, member.xattrs)


def _drain(stream: "Stream") -> None:
    left = MAX_REST
    while left > 0 and (data := stream.read(PEEK)):
        left -= len(data)
