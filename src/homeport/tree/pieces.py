"""A tar stream cut into pieces that can be cached by content.

A piece is a bounded run of the stream and becomes one compressed member. A large file
has pieces of its own, so that it is compressed once for all the images that hold it;
small entries between large ones are joined up to a bound, so that compression has
something to work with. What a piece's bytes will be follows from its parts, so its key
is known without reading a single content.

Not for compression or the cache itself (``layer_writer``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from homeport.content.blob import Blob
from homeport.tree.tar_writer import END, Entry

#: No piece stands for more bytes of the stream; memory is bounded by a few of them.
PIECE_BOUND = 4 << 20
#: From this size a file has its own pieces.
LARGE = 128 << 10
#: Small entries are joined up to this size.
RUN_BOUND = 1 << 20


class Extent(msgspec.Struct, frozen=True):
    """``length`` bytes of ``blob`` from ``offset``; ``path`` names it in errors."""

    blob: Blob
    offset: int
    length: int
    path: bytes = b""


class Piece(msgspec.Struct):
    """Consecutive bytes of the stream: given as they are, or as part of a content."""

    parts: list[bytes | Extent] = msgspec.field(default_factory=list)
    size: int = 0

    def add(self, part: bytes | Extent) -> None:
        if length := len(part) if isinstance(part, bytes) else part.length:
            self.parts.append(part)
            self.size += length

    def key(self) -> str:
        """The name of these bytes: a hash of what they are put together from."""
        hasher = hashlib.sha256()
        for part in self.parts:
            if isinstance(part, bytes):
                hasher.update(b"bytes %d\n" % len(part))
                hasher.update(part)
            else:
                line = f"{part.blob.digest} {part.blob.size} {part.offset} {part.length}\n"
                hasher.update(line.encode())
        return hasher.hexdigest()


class Unit(msgspec.Struct, frozen=True):
    """Pieces whose contents are verified together: a large file's, or one run's."""

    pieces: tuple[Piece, ...]


def units(entries: Iterable[Entry]) -> Iterator[Unit]:
    """The whole stream of ``entries``, end mark included, in order."""
    run = Piece()
    for entry in entries:
        content = entry.content
        size = len(entry.header) + (content.size if content else 0)
        large = content is not None and content.size >= LARGE
        if run.size and (large or run.size + size > RUN_BOUND):
            yield Unit((run,))
            run = Piece()
        if content is not None and large:
            yield Unit(tuple(_large_file(entry, content)))
            continue
        run.add(entry.header)
        if content is not None:
            run.add(Extent(content, 0, content.size, entry.path))
            run.add(bytes(entry.padding))
    run.add(END)
    yield Unit((run,))


def _large_file(entry: Entry, content: Blob) -> Iterator[Piece]:
    piece = Piece()
    piece.add(entry.header)
    offset = 0
    while offset < content.size:
        length = min(content.size - offset, PIECE_BOUND - piece.size)
        piece.add(Extent(content, offset, length, entry.path))
        offset += length
        if offset < content.size:
            yield piece
            piece = Piece()
    piece.add(bytes(entry.padding))
    yield piece
