"""The tar of a layer, read as engines read it, and fast for ordinary headers.

The rules are those of ``homeport.copying.tarstream``. Two differ, as in Go's reader, which every
engine uses: pax global headers do not apply to the members after them, and an archive may end
right behind its last file's bytes, without the padding (umoci's insert leaves it out).

Ordinary headers of files, directories and links are parsed here; all others, damaged ones
included, by ``TarReader``. Not for what members mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from zlib import adler32

from homeport.copying.tarstream import BLOCK, Member, TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeport.copying.tarstream import Stream

_PLAIN = {48: "file", 49: "hardlink", 50: "symlink", 53: "directory"}
_FILE = 48
_ADLER = 65521
_MAX_REMEMBERED = 1 << 14
_CHUNK = 1 << 20  # asked of the stream at once
_SMALL = 1 << 16  # larger contents are not read in one piece
V = TypeVar("V")
#: An ordinary header: name, kind, link, (mode, uid, gid), size of the content, mtime in seconds.
Plain = tuple[bytes, str, bytes, tuple[int, int, int], int, int]


class LayerReader(TarReader):
    """The members of a layer, in order."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, global_pax=False)
        self._owners: dict[bytes, tuple[int, int, int]] = {}
        self._sums: dict[bytes, int] = {}
        self._numbers: dict[bytes, int] = {}

    def next(self) -> Member | None:
        """The next member, or ``None`` at the end; what was not read of the last is skipped."""
        if self._left:
            self._skip(self._left)
            self._left = 0
        if self._padding:
            self._skip_padding()
        at = self._at
        block = self._buffer[at : at + BLOCK]
        if len(block) < BLOCK or self.ended or (plain := self._plain(block)) is None:
            return super().next()
        name, kind, link, owner, size, mtime = plain
        self._left, self._padding = size, -size % BLOCK
        self._segments, self._hole = None, 0
        member = self._member = Member(
            name,
            kind,
            link,
            *owner,
            size,
            mtime * 1_000_000_000,
            offset=self._base + at,
        )
        self._at = at + BLOCK
        return member

    @property
    def is_sparse(self) -> bool:
        """Whether the current member has holes, which are not in the stream."""
        return self._segments is not None

    def small(self) -> Iterator[tuple[Plain, bytes]]:
        """The ordinary small members that follow, each with its content.

        Ends before the first one that is large, unusual or damaged, which ``next`` then returns.
        Making a ``Member`` for each would take longer than everything else.
        """
        if self.ended or self._left:
            return
        self._skip_padding()
        self._member = None
        while True:
            begin = self._at + BLOCK
            block = self._buffer[self._at : begin]
            if len(block) < BLOCK:
                if not self._extend(BLOCK):
                    return
                continue
            plain = self._plain(block)
            if plain is None:
                return
            end = begin + plain[4]
            following = end + -plain[4] % BLOCK
            if following > len(self._buffer):
                if plain[4] > _SMALL or not self._extend(following - self._at):
                    return
                continue
            self._at = following
            yield plain, self._buffer[begin:end]

    def _extend(self, wanted: int) -> bool:
        """Read until the buffer has ``wanted`` bytes from the current position."""
        parts = [self._buffer[self._at :]]
        have = len(parts[0])
        while have < wanted and (more := self._stream.read(_CHUNK)):
            parts.append(more)
            have += len(more)
        self._base += self._at
        self._at = 0
        self._buffer = b"".join(parts)
        return have >= wanted

    def _plain(self, block: bytes) -> Plain | None:
        """The fields of an ordinary header; ``None`` for any other."""
        kind = block[156]
        word = _PLAIN.get(kind)
        expected = self._sums.get(block[148:156]) or self._sum(block[148:156])
        # The low half of Adler's checksum is one more than the sum of all bytes.
        if word is None or adler32(block) & 0xFFFF != expected or block[345]:
            return None
        owner = self._owners.get(block[100:124]) or self._owner(block[100:124])
        mtime = self._numbers.get(block[136:148])
        if mtime is None:
            mtime = self._number_of(block[136:148])
        size = 0
        if kind == _FILE and (size := self._numbers.get(block[124:136], -1)) < 0:
            size = self._number_of(block[124:136])
        name = block[:100].partition(b"\0")[0]
        if owner is None or mtime < 0 or size < 0 or (kind == _FILE and name[-1:] == b"/"):
            return None
        link = block[157:257].partition(b"\0")[0] if block[157] else b""
        return name, word, link, owner, size, mtime

    def _sum(self, field: bytes) -> int:
        """The Adler checksum of a block with this header checksum; -1 matches no block."""
        stored = _octal(field)
        if stored < 0:
            return -1
        # The header checksum is computed with eight blanks in its own field.
        expected = (stored - 8 * 32 + sum(field) + 1) % _ADLER
        return _remember(self._sums, field, expected)

    def _owner(self, fields: bytes) -> tuple[int, int, int] | None:
        mode, uid, gid = _octal(fields[:8]), _octal(fields[8:16]), _octal(fields[16:])
        if min(mode, uid, gid) < 0:
            return None
        return _remember(self._owners, fields, (mode & 0o7777, uid, gid))

    def _number_of(self, field: bytes) -> int:
        return _remember(self._numbers, field, _octal(field))

    def _skip_padding(self) -> None:
        """Skip the zeros after a file, as many as there are."""
        left, self._padding = self._padding, 0
        while left > len(self._buffer) - self._at:
            left -= len(self._buffer) - self._at
            self._at = len(self._buffer)
            if not self._more():
                return
        self._at += left

    def _more(self) -> bool:
        self._base += len(self._buffer)
        self._at = 0
        self._buffer = self._stream.read(_CHUNK)
        return bool(self._buffer)


def _octal(field: bytes) -> int:
    """A number in the usual form, digits and then a zero or a blank; -1 for any other."""
    digits = field.rstrip(b"\0 ")
    if digits.isdigit() and len(digits) < len(field):
        try:
            return int(digits, 8)
        except ValueError:
            pass
    return -1


def _remember(known: dict[bytes, V], key: bytes, value: V) -> V:
    """Cache a value, within a bound."""
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[key] = value
    return value
