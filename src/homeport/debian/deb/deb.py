"""Reading a Debian package, deb(5), forward and with a bound on everything.

Everything that ``dpkg-deb`` writes is accepted. Members that could write outside the root,
or that other tools read differently, are rejected by name. Nothing is unpacked here:
content is read in pieces. Not for verifying: see ``debian.deb.contents``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.content.reading import CHUNK, Readable
from homeport.copying.errors import CopyError, shown
from homeport.copying.tarstream import Member, TarReader
from homeport.debian.deb.ar import ArMember, ArReader, BadDeb
from homeport.debian.deb.decompression import Unpacked
from homeport.errors import TooLarge

EntryType = Literal["file", "directory", "symlink", "hardlink"]

_MAX_CONTROL = 64 << 20  # bytes of all control files together, unpacked
_MAX_DATA = 64 << 30  # bytes of the data archive, unpacked
_MAX_ENTRIES = 1_000_000
_MAX_PATH = 4096
_DATABASE = (b"var/lib/dpkg/status", b"var/lib/dpkg/status-old", b"var/lib/dpkg/available")
_STATUS_DIRECTORY = b"var/lib/dpkg/status.d/"
_DATABASE_PARENTS = (b"var", b"var/lib", b"var/lib/dpkg", b"var/lib/dpkg/status.d")
_CONTROL_NAMES = ("control.tar", "data.tar")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One path of a package.

    path:   bytes without a slash at either end
    mode:   07777
    mtime:  nanoseconds since 1970
    size:   of a file's content
    target: of a symlink its text; of a hardlink the path of an earlier file
    """

    path: bytes
    type: EntryType
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    target: bytes = b""
    xattrs: dict[bytes, bytes] = msgspec.field(default_factory=dict)


class DebReader:
    """One package, read once: first ``control``, then ``entries`` in archive order.

    control: file name → content, for example ``control``, ``md5sums``, ``postinst``
    """

    def __init__(self, stream: Readable) -> None:
        self._ar = ArReader(stream)
        self._check_version()
        self.control = self._read_control(self._member("control.tar"))
        self._data = self._member("data.tar")
        self._tar: TarReader | None = None

    def entries(self) -> Iterator[Entry]:
        """Every path but the root, each checked; at the end the rest of the package too."""
        unpacked = self._unpacked(self._data, _MAX_DATA)
        self._tar = TarReader(unpacked)
        layout = _Layout()
        try:
            while member := self._tar.next():
                if entry := layout.accept(member):
                    yield entry
            self._finish(self._tar, unpacked, self._data.name)
        except CopyError as error:
            raise _mapped(error, self._data.name) from error
        self._check_rest()

    def read(self, size: int = CHUNK, /) -> bytes:
        """At most ``size`` bytes of the last entry's content; empty at its end."""
        assert self._tar is not None
        try:
            return self._tar.read(size)
        except CopyError as error:
            raise _mapped(error, self._data.name) from error

    def _check_version(self) -> None:
        first = self._ar.next()
        if first is None or first.name != "debian-binary":
            raise BadDeb("not a Debian package: its first member is not debian-binary")
        version = self._ar.read(16)
        if not version.startswith(b"2.") or b"\n" not in version:
            raise BadDeb(
                f"unknown format version {shown(version.strip())!r}: only 2.x is supported"
            )

    def _member(self, prefix: str) -> ArMember:
        """The next member, which must be ``prefix`` with some compression; ``_x`` may precede."""
        while (member := self._ar.next()) and member.name.startswith("_"):
            pass
        if member is None:
            raise BadDeb(f"it has no {prefix}")
        stem, _, rest = member.name.partition(".tar")
        if f"{stem}.tar" != prefix or (rest and not rest.startswith(".")):
            raise BadDeb(f"found member {member.name}, expected {prefix}")
        return member

    def _unpacked(self, member: ArMember, limit: int) -> Unpacked:
        compression = member.name.partition(".tar")[2].removeprefix(".")
        return Unpacked(self._ar, compression, what=member.name, limit=limit)

    def _read_control(self, member: ArMember) -> dict[str, bytes]:
        unpacked = self._unpacked(member, _MAX_CONTROL)
        tar = TarReader(unpacked)
        files: dict[str, bytes] = {}
        try:
            while entry := tar.next():
                name = entry.name.removeprefix(b"./").removesuffix(b"/")
                if name in (b"", b".") and entry.kind == "directory":
                    continue
                if entry.kind != "file" or b"/" in name or not name.isascii():
                    raise BadDeb(f"{member.name} holds {entry.kind} {shown(entry.name)!r}")
                if name.decode() in files:
                    raise BadDeb(f"{member.name} holds {shown(name)!r} twice")
                files[name.decode()] = b"".join(iter(lambda: tar.read(CHUNK), b""))
            self._finish(tar, unpacked, member.name)
        except CopyError as error:
            raise _mapped(error, member.name) from error
        if "control" not in files:
            raise BadDeb(f"{member.name} holds no control file")
        return files

    def _finish(self, tar: TarReader, unpacked: Unpacked, what: str) -> None:
        """Read what follows the archive's end, so that the checksums after it are checked."""
        if not tar.ended:
            raise BadDeb(f"{what} has no end: it is truncated")
        while data := unpacked.read(CHUNK):
            if data.count(0) != len(data):
                raise BadDeb(f"garbage follows the end of {what}")

    def _check_rest(self) -> None:
        while member := self._ar.next():
            # Signatures of other tools may follow; any other member may be what another
            # tool reads instead of data.tar.
            if not member.name.startswith("_"):
                again = member.name.startswith(_CONTROL_NAMES)
                reason = "a second time" if again else "after data.tar"
                raise BadDeb(f"member {member.name} appears {reason}")


class _Layout:
    """Checks each path of one package."""

    def __init__(self) -> None:
        self._types: dict[bytes, str] = {}

    def accept(self, member: Member) -> Entry | None:
        """The member as an entry, ``None`` for the root. Raises ``BadDeb``."""
        path = _inside(member.name, "path")
        kind = member.kind
        if path == b"":
            if kind != "directory":
                raise BadDeb(f"the package's root is a {kind}")
            return None
        if kind not in ("file", "directory", "symlink", "hardlink"):
            raise _refused(path, f"is a {_WORDS[kind]}, which an image must not hold")
        if len(self._types) >= _MAX_ENTRIES:
            raise TooLarge(f"a package has more than {_MAX_ENTRIES} paths")
        self._check_parents(path)
        known = self._types.get(path)
        if known is not None and not known == kind == "directory":
            raise _refused(path, "appears twice")
        if _is_database(path, kind):
            raise _refused(path, "belongs to the package database, which no package may ship")
        target = self._target(path, member)
        self._types[path] = kind
        return Entry(
            path=path,
            type=kind,  # type: ignore[arg-type]  # one of the four, see above
            mode=member.mode,
            uid=member.uid,
            gid=member.gid,
            mtime=member.mtime,
            size=member.size,
            target=target,
            xattrs=member.xattrs,
        )

    def _check_parents(self, path: bytes) -> None:
        """A path below a link of the same package would land wherever the link leads."""
        parent = path
        while b"/" in parent:
            parent = parent.rpartition(b"/")[0]
            kind = self._types.get(parent)
            if kind == "directory":
                return
            if kind is not None:
                raise _refused(path, f"lies below {shown(parent)}, which is a {kind}")
            # dpkg-deb writes every directory, but old packages may leave some out.

    def _target(self, path: bytes, member: Member) -> bytes:
        if member.kind == "hardlink":
            target = _inside(member.link, "link target")
            if self._types.get(target) != "file":
                raise _refused(
                    path, f"is a hard link to {shown(target)}, which is not an earlier file"
                )
            return target
        if member.kind == "symlink":
            if not member.link or len(member.link) > _MAX_PATH or b"\n" in member.link:
                raise _refused(path, "is a link with an odd target")
            if _climbs_out(path, member.link):
                raise _refused(path, f"is a link out of the root: {shown(member.link)}")
            return member.link
        return b""


_WORDS = {"char": "character device", "block": "block device", "fifo": "pipe"}


def _is_database(path: bytes, kind: str) -> bool:
    """Files by which scanners and dpkg know packages: one of a package would forge others.

    A link in place of a directory on the way there would lead to such files, too.
    """
    if path in _DATABASE_PARENTS:
        return kind != "directory"
    return path in _DATABASE or (path.startswith(_STATUS_DIRECTORY) and kind != "directory")


def _inside(name: bytes, what: str) -> bytes:
    """A name from the archive as a clean path below the root."""
    if name.startswith(b"/"):
        raise BadDeb(f"{what} {shown(name)!r} is absolute")
    if len(name) > _MAX_PATH or b"\n" in name:
        raise BadDeb(f"{what} {shown(name)!r} is too long or holds a line break")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise BadDeb(f"{what} {shown(name)!r} contains '..'")
    return b"/".join(parts)


def _climbs_out(path: bytes, target: bytes) -> bool:
    """Whether a link's text has more ``..`` than there are directories above it.

    An absolute target starts at the image's root, wherever that is, and may not climb at all.
    """
    depth = 0 if target.startswith(b"/") else path.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in (b"", b"."):
            depth += 1
        if depth < 0:
            return True
    return False


def _refused(path: bytes, why: str) -> BadDeb:
    return BadDeb(f"{shown(path)} {why}", where={"path": shown(path)})


def _mapped(error: CopyError, member: str) -> BadDeb:
    place = {**error.where, "archive": member}
    return BadDeb(f"{member}: {error.what}", where=place)
