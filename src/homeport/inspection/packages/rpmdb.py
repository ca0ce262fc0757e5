"""rpm's databases without rpm: sqlite and ndb; headers as rpm's manual describes them.

Berkeley DB files (rpm before 4.16) are recognised and rejected with a reason.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from homeport.errors import HomeportError

_MAX_TAGS = 100_000
_MAX_HEADER = 64 << 20  # bytes of one package's header
_MAX_STEPS = 10_000_000  # instructions of sqlite's virtual machine, about one second
_STEPS = 10_000
_MAX_PATHS_RATIO = 16  # bytes of all paths of a package for each byte of its header
_NDB_MAX_PAGES = 4096
_NAME, _VERSION, _RELEASE, _EPOCH, _SIZE, _VENDOR = 1000, 1001, 1002, 1003, 1009, 1011
_LICENSE, _ARCH, _SOURCE = 1014, 1022, 1044
_BASENAMES, _DIRNAMES, _DIRINDEXES = 1117, 1118, 1116
_DIGESTS, _FLAGS, _ALGORITHM, _MODES = 1035, 1037, 5011, 1030


class BadRpmDatabase(HomeportError):
    """An rpm database that cannot be read."""

    id = "bad-rpm-database"


class RpmFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the header lists it. ``digest`` is hexadecimal or empty."""

    path: bytes
    digest: str
    flags: int
    mode: int


class RpmHeader(msgspec.Struct, frozen=True, kw_only=True):
    """One installed package. ``algorithm`` of its files' digests: md5, sha256…"""

    name: str
    full_version: str
    architecture: str
    source: str
    license: str
    vendor: str
    size: int
    algorithm: str
    files: tuple[RpmFile, ...]


def read_rpm_database(data: bytes, wal: bytes = b"") -> Iterator[RpmHeader]:
    """Every package in a database. Raises ``BadRpmDatabase``."""
    if data.startswith(b"SQLite format 3\0"):
        blobs = _sqlite(data, wal)
    elif data.startswith(b"RpmP"):
        blobs = _ndb(data)
    elif data[12:16] in (b"\x61\x15\x06\x00", b"\x00\x06\x15\x61"):
        raise BadRpmDatabase(
            "the Berkeley DB format is not supported",
            hint="rpmdb --rebuilddb of rpm 4.16 or later converts it to sqlite",
        )
    else:
        raise BadRpmDatabase("unknown format")
    for blob in blobs:
        header = _header(blob)
        if header.name and header.name != "gpg-pubkey":
            yield header


def _sqlite(data: bytes, wal: bytes) -> Iterator[bytes]:
    left = len(data) + len(wal)
    if not wal and data[18:20] == b"\x02\x02":
        data = data[:18] + b"\x01\x01" + data[20:]  # journal mode WAL without a journal
    try:
        with tempfile.TemporaryDirectory(prefix="homeport-rpm-") as folder:
            place = Path(folder) / "rpmdb.sqlite"
            place.write_bytes(data)
            if wal:
                (place.parent / "rpmdb.sqlite-wal").write_bytes(wal)
            with closing(sqlite3.connect(place)) as database:
                _restrict(database)
                for (blob,) in database.execute("SELECT blob FROM Packages"):
                    if isinstance(blob, bytes):
                        left -= len(blob)
                        if left < 0:
                            raise BadRpmDatabase("the packages have more bytes than the file")
                        yield blob
    except MemoryError as error:  # sqlite's error for an impossible length
        raise BadRpmDatabase("sqlite: impossible length in the file") from error
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise BadRpmDatabase(f"sqlite: {error}") from error


def _restrict(database: sqlite3.Connection) -> None:
    """Bound the work of sqlite: a hostile file may have views or pages that form loops."""
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_HEADER)
    steps = iter(range(_MAX_STEPS // _STEPS))
    database.set_progress_handler(lambda: next(steps, None) is None, _STEPS)
    database.execute("PRAGMA trusted_schema = OFF")
    stored = database.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'Packages' AND type = 'table' AND rootpage > 0"
    ).fetchone()
    computed = database.execute(
        "SELECT 1 FROM pragma_table_xinfo('Packages') WHERE hidden <> 0"
    ).fetchone()
    if not stored or computed:
        raise BadRpmDatabase("Packages is not a table of stored rows")


def _ndb(data: bytes) -> Iterator[bytes]:
    """ndb: pages of slots (16 bytes each) that point to blobs in units of 16 bytes."""
    pages = int.from_bytes(data[12:16], "little")
    if not 0 < pages <= _NDB_MAX_PAGES:
        raise BadRpmDatabase(f"invalid number of slot pages: {pages}")
    left = len(data)
    for at in range(32, min(pages * 4096, len(data) - 15), 16):
        magic, index, block, _count = struct.unpack_from("<4sIII", data, at)
        if magic != b"Slot" or not index:
            continue
        start = block * 16
        if data[start : start + 4] != b"BlbS":
            raise BadRpmDatabase(f"slot {index} does not point to a package")
        length = int.from_bytes(data[start + 12 : start + 16], "little")
        left -= 16 + length
        if left < 0:
            raise BadRpmDatabase(f"slot {index}: the packages have more bytes than the file")
        yield data[start + 16 : start + 16 + length]


def _header(blob: bytes) -> RpmHeader:
    try:
        tags = _Tags(blob)
        version = tags.text(_VERSION) + "-" + tags.text(_RELEASE)
        epoch = tags.numbers(_EPOCH)
        numbers = tags.numbers(_ALGORITHM)
        return RpmHeader(
            name=tags.text(_NAME),
            full_version=f"{epoch[0]}:{version}" if epoch else version,
            architecture=tags.text(_ARCH),
            source=tags.text(_SOURCE),
            license=tags.text(_LICENSE),
            vendor=tags.text(_VENDOR),
            size=sum(tags.numbers(_SIZE)[:1]),
            algorithm={1: "md5", 2: "sha1", 8: "sha256", 10: "sha512"}.get(
                numbers[0] if numbers else 1, ""
            ),
            files=tuple(tags.files()),
        )
    except (struct.error, IndexError, ValueError) as error:
        raise BadRpmDatabase(f"damaged package header: {error}") from error


class _Tags:
    """A header: an index of (tag, type, offset, count) and the data they point into."""

    def __init__(self, blob: bytes) -> None:
        entries, length = struct.unpack_from(">II", blob)
        if entries > _MAX_TAGS or 8 + 16 * entries + length > len(blob):
            raise ValueError("invalid lengths")
        self._data = blob[8 + 16 * entries :]
        self._index: dict[int, tuple[int, int, int]] = {}
        for number in range(entries):
            tag, kind, offset, count = struct.unpack_from(">IIII", blob, 8 + 16 * number)
            self._index[tag] = (kind, offset, count)

    def texts(self, tag: int) -> list[bytes]:
        if tag not in self._index:
            return []
        _, offset, count = self._index[tag]
        found = []
        for _ in range(count):
            end = self._data.index(b"\0", offset)
            found.append(self._data[offset:end])
            offset = end + 1
        return found

    def text(self, tag: int) -> str:
        found = self.texts(tag)
        return found[0].decode("utf-8", "replace") if found else ""

    def numbers(self, tag: int) -> list[int]:
        if tag not in self._index:
            return []
        kind, offset, count = self._index[tag]
        letter = {3: "H", 4: "I", 5: "Q"}.get(kind)
        if letter is None or count > len(self._data):
            return []
        return list(struct.unpack_from(f">{count}{letter}", self._data, offset))

    def files(self) -> Iterator[RpmFile]:
        directories, digests = self.texts(_DIRNAMES), self.texts(_DIGESTS)
        indexes, flags, modes = (self.numbers(tag) for tag in (_DIRINDEXES, _FLAGS, _MODES))
        left = _MAX_PATHS_RATIO * len(self._data)
        for number, name in enumerate(self.texts(_BASENAMES)):
            directory = directories[indexes[number]]
            left -= len(directory) + len(name)
            if left < 0:
                raise ValueError("the paths are too long for the header")
            yield RpmFile(
                path=(directory + name).lstrip(b"/"),
                digest=digests[number].decode("ascii", "replace") if number < len(digests) else "",
                flags=flags[number] if number < len(flags) else 0,
                mode=modes[number] if number < len(modes) else 0,
            )
