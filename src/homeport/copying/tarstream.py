"""The one streaming tar reader: member after member, forward only, everything bounded.

Reads v7, ustar, GNU (long names, base-256 numbers, old sparse files) and pax (local and
global headers, sparse 0.0, 0.1 and 1.0, ``SCHILY.xattr.*``). Input that is truncated or
corrupt raises ``CopyError`` with position and member name. Decompression is the caller's,
and so is what names mean: they are returned as they are in the archive, ``..`` and all.

Reads ahead: what follows the archive in the stream is partly swallowed.
"""

from homeport.copying.errors import CopyError, shown

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from typing import Protocol

    class Stream(Protocol):
        """Anything that can be read forward. Short reads are fine, ``b""`` is the end."""

        def read(self, size: int, /) -> bytes: ...


BLOCK = 512
CHUNK = 1 << 18  # how much is asked of the stream at once
ZEROS = bytes(BLOCK)
MAX_SIZE = (1 << 63) - 1

KINDS = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",  # contiguous, of old
    b"S": "file",  # GNU sparse
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "directory",
    b"D": "directory",  # GNU incremental: a list of names as content, which is skipped
    b"6": "fifo",
}
#: Headers of these types have no content, whatever their size field says (as Go and GNU tar).
WITHOUT_CONTENT = frozenset(b"123456")


class Member:
    """One entry of an archive.

    name, link: bytes as in the archive, not cleaned; link is the text of a symbolic link, or
                the name of an earlier member for a hard link
    kind:       file, directory, symlink, hardlink, char, block or fifo
    mode:       07777
    size:       of the content as it is read: sparse files expanded
    mtime:      nanoseconds
    offset:     position of its header in the archive
    """

    __slots__ = (
        "device",
        "gid",
        "gname",
        "kind",
        "link",
        "mode",
        "mtime",
        "name",
        "offset",
        "size",
        "uid",
        "uname",
        "xattrs",
    )

    def __init__(
        self,
        name: bytes,
        kind: str,
        link: bytes = b"",
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime: int = 0,
        xattrs: "dict[bytes, bytes] | None" = None,
        device: "tuple[int, int]" = (0, 0),
        uname: bytes = b"",
        gname: bytes = b"",
        offset: int = 0,
    ) -> None:
        self.name = name
        self.kind = kind
        self.link = link
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime
        self.xattrs: dict[bytes, bytes] = {} if xattrs is None else xattrs
        self.device = device
        self.uname = uname
        self.gname = gname
        self.offset = offset

    def __repr__(self) -> str:
        return f"<Member {self.kind} {shown(self.name)} {self.mode:o} {self.size}>"


class TarReader:
    """The members of one archive, in order.

    max_header: bytes of one pax header, long name or sparse map text
    max_sparse: entries of one sparse map
    global_pax: whether pax global headers apply to the members after them (pax and GNU tar
                say yes; Go, and so BuildKit, ignores them)
    """

    def __init__(
        self,
        stream: "Stream",
        *,
        max_header: int = 1 << 20,
        max_sparse: int = 1 << 17,
        global_pax: bool = True,
    ) -> None:
        self._stream = stream
        self._max_header = max_header
        self._max_sparse = max_sparse
        self._use_globals = global_pax
        self._globals: dict[bytes, bytes] = {}
        self._global_bytes = 0
        self._buffer = b""
        self._at = 0  # in the buffer
        self._base = 0  # position in the archive of the buffer's first byte
        self._left = 0  # stored bytes of the current member not yet read
        self._padding = 0
        self._segments: list[tuple[int, int]] | None = None  # sparse: (offset, length), reversed
        self._position = 0  # in the expanded file
        self._hole = 0
        self._member: Member | None = None
        #: Whether the end-of-archive marker was seen (many writers leave it out).
        self.ended = False

    def next(self) -> "Member | None":
        """The next member, or ``None`` at the end; what was not read of the last is skipped."""
        if self.ended:
            return None
        if self._left or self._padding:
            self._skip(self._left + self._padding)
        self._left = self._padding = self._hole = 0
        self._segments = None
        local: dict[bytes, bytes] | None = None
        long_name = long_link = None
        start = self._base + self._at
        while True:
            offset = self._base + self._at
            block = self._header()
            if block is None:
                if local is not None or long_name is not None or long_link is not None:
                    raise self._error("archive ends after a header for a next member", offset)
                self._member = None
                return None
            kind = block[156:157]
            if kind in KINDS:
                break
            if kind in b"xX":
                local = self._records(self._meta(block, "pax header"), offset)
            elif kind == b"g":
                data = self._meta(block, "pax global header")
                records = self._records(data, offset)
                if self._use_globals:
                    self._global_bytes += len(data)  # each is bounded, but not their number
                    if self._global_bytes > self._max_header:
                        raise self._error("pax global headers are too long together", offset)
                    self._globals.update(records)
            elif kind == b"L":
                long_name = self._meta(block, "long name").partition(b"\0")[0]
            elif kind == b"K":
                long_link = self._meta(block, "long link").partition(b"\0")[0]
            elif kind == b"V":  # volume label
                self._skip_content(block)
            else:
                raise self._error(f"unknown type {shown(kind)!r}", offset, _name(block))
        member = self._member = self._parse(block, kind, start, local)
        if long_name is not None:
            member.name = long_name
        if long_link is not None:
            member.link = long_link
        if kind in b"\x000" and member.name.endswith(b"/"):
            member.kind = "directory"  # v7 knows no other way to say so
        if member.kind != "file":
            member.size = 0
        return member

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of the current member's content; ``b""`` at its end."""
        if self._member is None or self._member.kind != "file":
            return b""
        if self._segments is not None:
            return self._read_sparse(size)
        left = self._left
        if not left or size <= 0:
            return b""
        if self._at == len(self._buffer):
            self._fill(left)
        at = self._at
        data = self._buffer[at : at + min(size, left)]
        self._at = at + len(data)
        self._left = left - len(data)
        return data

    def take_hole(self) -> int:
        """The length of the hole that comes next in a sparse file, which is thereby read.

        0 where data come next: a writer that can seek asks before each ``read``.
        """
        if self._segments is None:
            return 0
        self._next_segment()
        hole, self._hole = self._hole, 0
        self._position += hole
        return hole

    # -- sparse files

    def _read_sparse(self, size: int) -> bytes:
        if size <= 0:
            return b""
        self._next_segment()
        if self._hole:
            part = min(size, self._hole, CHUNK)
            self._hole -= part
            self._position += part
            return bytes(part)
        segments = self._segments
        if not segments:
            return b""
        offset, length = segments[-1]
        within = self._position - offset
        if self._at == len(self._buffer):
            self._fill(self._left)
        data = self._buffer[self._at : self._at + min(size, length - within)]
        self._at += len(data)
        self._left -= len(data)
        self._position += len(data)
        return data

    def _next_segment(self) -> None:
        """Set the hole that comes before the next data, dropping segments that are used up."""
        if self._hole or self._segments is None or self._member is None:
            return
        segments = self._segments
        while segments and self._position >= segments[-1][0] + segments[-1][1]:
            segments.pop()
        upto = segments[-1][0] if segments else self._member.size
        self._hole = max(0, upto - self._position)

    def _set_sparse(self, member: Member, pairs: "list[tuple[int, int]]", size: int) -> None:
        """Check a sparse map and use it: in order, no overlap, as many bytes as are stored."""
        stored = end = 0
        for offset, length in pairs:
            if offset < end or offset + length > size:
                raise self._error(
                    "sparse map is not in order or passes the file's end", member=member
                )
            end = offset + length
            stored += length
        if stored != self._left:
            raise self._error(
                f"sparse map needs {stored} bytes, {self._left} are stored", member=member
            )
        member.size = size
        self._segments = [pair for pair in reversed(pairs) if pair[1]]
        self._position = 0

    def _old_sparse(self, block: bytes, member: Member) -> None:
        """The map in the header and in the blocks that extend it (GNU, type S)."""
        numbers: list[int] = []
        size = self._number(block, 483, 495, "real size")
        area, count, more = block[386:482], 4, block[482]
        while True:
            for i in range(0, count * 24, 24):
                if area[i] == 0 and area[i + 12] == 0:
                    break
                numbers.append(self._number(area, i, i + 12, "sparse offset"))
                numbers.append(self._number(area, i + 12, i + 24, "sparse length"))
            if not more:
                break
            if len(numbers) > 2 * self._max_sparse:
                raise self._error(
                    f"sparse map has more than {self._max_sparse} entries", member=member
                )
            area = self._exact(BLOCK, "sparse map")
            count, more = 21, area[504]
        self._set_sparse(member, list(zip(numbers[::2], numbers[1::2], strict=True)), size)

    def _pax_sparse(self, records: "dict[bytes, bytes]", member: Member) -> None:
        name = records.get(b"GNU.sparse.name")
        if name:
            member.name = name
        size_text = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        size = self._decimal(size_text or b"", "GNU.sparse.size")
        if records.get(b"GNU.sparse.major") == b"1":
            if records.get(b"GNU.sparse.minor") != b"0":
                raise self._error("unknown sparse format", member=member)
            numbers = self._map_in_content(member)
        else:
            text = records.get(b"GNU.sparse.map", b"")
            if text.count(b",") > 2 * self._max_sparse:
                raise self._error(
                    f"sparse map has more than {self._max_sparse} entries", member=member
                )
            parts = text.split(b",") if text else []
            numbers = [self._decimal(part, "GNU.sparse.map") for part in parts]
        if len(numbers) % 2:
            raise self._error("sparse map ends in the middle of a pair", member=member)
        self._set_sparse(member, list(zip(numbers[::2], numbers[1::2], strict=True)), size)

    def _map_in_content(self, member: Member) -> "list[int]":
        """Sparse 1.0: decimal lines before the data, the number of pairs first."""
        text = b""
        lines: list[bytes] = []
        wanted = 1
        while len(lines) < wanted:
            if self._left < BLOCK or len(text) > self._max_header:
                raise self._error("sparse map passes its bound", member=member)
            piece = self._exact(BLOCK, "sparse map")
            self._left -= BLOCK
            whole, _, text = (text + piece).rpartition(b"\n")
            if whole:
                lines.extend(whole.split(b"\n"))
            if wanted == 1 and lines:
                pairs = self._decimal(lines[0], "number of sparse entries")
                if pairs > self._max_sparse:
                    raise self._error(f"sparse map has more than {self._max_sparse} entries")
                wanted += 2 * pairs
        return [self._decimal(line, "sparse map") for line in lines[1:wanted]]

    # -- headers

    def _header(self) -> "bytes | None":
        """The next header block, its checksum right; ``None`` at the end of the archive."""
        block = self._block()
        if block is None:
            return None
        if block == ZEROS:
            second = self._block()
            if second is None or second == ZEROS:
                self.ended = True
                return None
            raise self._error(
                "a lone block of zeros is followed by more", self._base + self._at - BLOCK
            )
        field = block[148:156]
        found = sum(block) - sum(field) + 256
        if found != self._number(block, 148, 156, "checksum"):
            signed = found - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
            if signed != self._number(block, 148, 156, "checksum"):
                raise self._error("header checksum is wrong", self._base + self._at - BLOCK)
        return block

    def _parse(
        self, block: bytes, kind: bytes, start: int, local: "dict[bytes, bytes] | None"
    ) -> Member:
        number = self._number
        name = _name(block)
        member = self._member = Member(
            name,
            KINDS[kind],
            block[157:257].partition(b"\0")[0],
            number(block, 100, 108, "mode") & 0o7777,
            number(block, 108, 116, "uid"),
            number(block, 116, 124, "gid"),
            0,
            number(block, 136, 148, "mtime") * 1_000_000_000,
            None,
            (0, 0),
            block[265:297].partition(b"\0")[0],
            block[297:329].partition(b"\0")[0],
            start,
        )
        size = number(block, 124, 136, "size")
        if kind in b"34":
            member.device = (
                number(block, 329, 337, "major device number"),
                number(block, 337, 345, "minor device number"),
            )
        records = local
        if self._globals:
            records = {**self._globals, **(local or {})}
        if records:
            size = self._apply(records, member, size)
        if size < 0 or size > MAX_SIZE:
            raise self._error(f"size {size} is out of range", member=member)
        for id in (member.uid, member.gid, *member.device):
            if id < 0 or id > 0xFFFFFFFF:
                raise self._error(f"number {id} is out of range", member=member)
        if kind[0] not in WITHOUT_CONTENT:
            member.size = self._left = size
            self._padding = -size % BLOCK
            if kind == b"S":
                self._old_sparse(block, member)
            elif records and (b"GNU.sparse.major" in records or b"GNU.sparse.map" in records):
                self._pax_sparse(records, member)
        return member

    def _apply(self, records: "dict[bytes, bytes]", member: Member, size: int) -> int:
        for key, value in records.items():
            if key.startswith(b"SCHILY.xattr."):
                member.xattrs[key[13:]] = value
            elif not value:
                continue  # an empty value takes a global one back
            elif key in (b"path", b"linkpath", b"uname", b"gname"):
                if b"\0" in value:
                    raise self._error(f"pax {key.decode()} contains a zero byte", member=member)
                setattr(member, _FIELDS[key], value)
            elif key == b"size":
                size = self._decimal(value, "pax size")
            elif key == b"uid":
                member.uid = self._decimal(value, "pax uid")
            elif key == b"gid":
                member.gid = self._decimal(value, "pax gid")
            elif key == b"mtime":
                member.mtime = self._time(value)
        return size

    def _records(self, data: bytes, offset: int) -> "dict[bytes, bytes]":
        """The ``LENGTH KEY=VALUE\\n`` records of a pax header."""
        found: dict[bytes, bytes] = {}
        pairs: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if data[at] == 0:  # some writers fill up with zeros
                break
            blank = data.find(b" ", at, at + 20)
            digits = data[at:blank]
            if blank < 0 or not digits.isdigit():
                raise self._error("pax record has no length", offset)
            stop = at + int(digits)
            if stop > end or stop <= blank + 1 or data[stop - 1] != 10:
                raise self._error("pax record has a wrong length", offset)
            key, equals, value = data[blank + 1 : stop - 1].partition(b"=")
            if not equals or not key:
                raise self._error("pax record has no key", offset)
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                # Sparse 0.0 repeats these two; it becomes the map of 0.1.
                if len(pairs) % 2 != (key == b"GNU.sparse.numbytes"):
                    raise self._error("sparse map ends in the middle of a pair", offset)
                pairs.append(value)
            else:
                found[key] = value
            at = stop
        if pairs:
            found[b"GNU.sparse.map"] = b",".join(pairs)
        return found

    def _meta(self, block: bytes, what: str) -> bytes:
        """The content of a header that describes the next member."""
        size = self._number(block, 124, 136, "size")
        if not 0 <= size <= self._max_header:
            raise self._error(f"{what} has {size} bytes, at most {self._max_header} are allowed")
        data = self._exact(size, what)
        self._skip(-size % BLOCK)
        return data

    def _skip_content(self, block: bytes) -> None:
        size = self._number(block, 124, 136, "size")
        if not 0 <= size <= MAX_SIZE:
            raise self._error(f"size {size} is out of range")
        self._skip(size + -size % BLOCK)

    def _number(self, block: bytes, start: int, stop: int, field: str) -> int:
        """An octal or base-256 number."""
        if block[start] & 0x80:
            raw = block[start:stop]
            value = int.from_bytes(raw, "big") & ((1 << (8 * len(raw) - 1)) - 1)
            if raw[0] & 0x40:
                value -= 1 << (8 * len(raw) - 1)
            if -MAX_SIZE <= value <= MAX_SIZE:
                return value
        else:
            text = block[start:stop].partition(b"\0")[0].strip()
            if not text:
                return 0
            if text.isdigit():
                try:
                    return int(text, 8)
                except ValueError:
                    pass
        raise self._error(f"{field} is not a number", self._base + self._at - BLOCK)

    def _decimal(self, text: bytes, field: str) -> int:
        if text.isdigit() and len(text) < 20:
            value = int(text)
            if value <= MAX_SIZE:
                return value
        raise self._error(f"{field} is not a number: {shown(text, 40)}")

    def _time(self, text: bytes) -> int:
        """Decimal seconds with a fraction, as nanoseconds; no float on the way."""
        seconds, _, fraction = text.partition(b".")
        negative = seconds.startswith(b"-")
        digits = seconds[1:] if negative else seconds
        if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
            raise self._error(f"pax mtime is not a number: {shown(text, 40)}")
        value = int(digits) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
        return -value if negative else value

    # -- bytes

    def _block(self) -> "bytes | None":
        """The next block; ``None`` at a clean end of the stream."""
        at = self._at
        block = self._buffer[at : at + BLOCK]
        self._at = at + len(block)
        while len(block) < BLOCK:
            if not self._more():
                if not block:
                    return None
                raise self._error(f"archive is truncated: {len(block)} bytes of a header")
            part = self._buffer[: BLOCK - len(block)]
            self._at = len(part)
            block += part
        return block

    def _exact(self, size: int, what: str) -> bytes:
        parts = []
        left = size
        while left:
            if self._at == len(self._buffer) and not self._more():
                raise self._error(f"archive is truncated in a {what}")
            part = self._buffer[self._at : self._at + left]
            self._at += len(part)
            left -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _skip(self, size: int) -> None:
        while size:
            there = len(self._buffer) - self._at
            if there >= size:
                self._at += size
                return
            size -= there
            self._at += there
            if not self._more():
                raise self._error(
                    f"archive is truncated: {size} bytes are missing", member=self._member
                )

    def _fill(self, missing: int) -> None:
        """More content of the current member, which is known to go on."""
        if not self._more():
            raise self._error(
                f"archive is truncated: {missing} bytes are missing", member=self._member
            )

    def _more(self) -> bool:
        """Replace the used-up buffer."""
        self._base += len(self._buffer)
        self._at = 0
        self._buffer = self._stream.read(CHUNK)
        return bool(self._buffer)

    def _error(
        self,
        what: str,
        offset: "int | None" = None,
        name: "bytes | None" = None,
        member: "Member | None" = None,
    ) -> CopyError:
        where: dict[str, str | int] = {}
        if member is not None:
            name = member.name
        if name is not None:
            where["member"] = shown(name)
        where["position"] = self._base + self._at if offset is None else offset
        return CopyError(what, where)


_FIELDS = {b"path": "name", b"linkpath": "link", b"uname": "uname", b"gname": "gname"}


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0":
        # In GNU's format ("ustar  ") other things are kept in the prefix field.
        prefix = block[345 : 476 if block[508:] == b"tar\0" else 500].partition(b"\0")[0]
        if prefix:
            return prefix + b"/" + name
    return name
