"""The files of a tar archive, read in place: the archive is listed once, never unpacked.

Symbolic and hard links are followed inside the archive only (``docker save`` of the early
eras shares layers by links). Not for what the files mean.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from homeport.content.files import explained
from homeport.content.reading import CHUNK, Readable, Slice
from homeport.copying.errors import CopyError
from homeport.copying.tarstream import BLOCK, TarReader
from homeport.errors import TooLarge
from homeport.images.storage.files import BadLayout, missing
from homeport.printable import printable
from homeport.quantities import human_size
from homeport.runtime import Runtime
from homeport.tree.decompression import MAGIC_LENGTH, codec_of, decompressed

#: Members of one archive; an image of the largest size seen has some hundreds.
MEMBER_LIMIT = 100_000
#: Bytes that a compressed archive, or one on standard input, may unfold to.
SPOOL_LIMIT = 256 << 30
_LINK_LIMIT = 16
_ZEROS = bytes(CHUNK)


class ArchiveFiles:
    """The members of one archive, by clean name. Made by ``open_archive``."""

    def __init__(self, stream: BinaryIO, place: str) -> None:
        self._stream = stream
        self._place = place
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._documents: dict[str, str] = {}  # members at the top, and what they are
        self._list()

    @property
    def place(self) -> str:
        return self._place

    @property
    def names(self) -> list[str]:
        """The names of all files and links."""
        return [*self._files, *self._links]

    def size(self, name: str) -> int | None:
        found = self._find(name)
        return None if found is None else found[1]

    def open(self, name: str, offset: int = 0) -> BinaryIO:
        found = self._find(name)
        if found is None:
            raise missing(self, name)
        start, size = found
        skipped = min(offset, size)
        return cast("BinaryIO", Slice(self._stream.fileno(), start + skipped, size - skipped))

    def resolved(self, name: str) -> str:
        for _ in range(_LINK_LIMIT):
            if name in self._files or name not in self._links:
                return name
            name = self._links[name]
        raise BadLayout(f"links form a circle in {self._place}", where={"file": self._place})

    def _find(self, name: str) -> tuple[int, int] | None:
        return self._files.get(self.resolved(name))

    def _list(self) -> None:
        headers = _Headers(self._stream)
        reader = TarReader(headers, max_header=1 << 16, max_sparse=1)
        try:
            while member := reader.next():
                if headers.to_step:
                    raise BadLayout(
                        f"{self._place} contains a sparse file; no image tool writes any"
                    )
                name = self._clean(member.name)
                self._check_once(name, member.kind)
                if member.kind == "file":
                    self._add(name, headers.position, member.size)
                    headers.step(member.size + -member.size % BLOCK)
                elif member.kind == "symlink":
                    self._links[name] = self._inside(
                        posixpath.join(posixpath.dirname(name).encode(), member.link)
                    )
                elif member.kind == "hardlink":
                    self._links[name] = self._inside(member.link)
                if len(self._files) + len(self._links) > MEMBER_LIMIT:
                    raise TooLarge(f"{self._place} holds more than {MEMBER_LIMIT} members")
        except CopyError as error:
            raise BadLayout(
                f"{self._place} is not a tar archive, or is damaged: {error}",
                where={"file": self._place},
            ) from error

    def _check_once(self, name: str, kind: str) -> None:
        """Documents decide what the image is: two of one name are two images for two readers.

        Also where one is a link, a pipe or the like, which one reader follows and another skips.
        """
        if "/" in name:
            return
        before = self._documents.get(name)
        if before is not None and (before, kind) != ("directory", "directory"):
            raise BadLayout(
                f"{self._place} holds {printable(name)} twice", where={"file": self._place}
            )
        self._documents[name] = kind

    def _add(self, name: str, start: int, size: int) -> None:
        self._links.pop(name, None)
        self._files[name] = (start, size)

    def _clean(self, raw: bytes) -> str:
        """Relative to the archive, also if it begins with ``/``, as pack writes names."""
        return self._inside(raw.lstrip(b"/"))

    def _inside(self, raw: bytes) -> str:
        name = raw.decode("utf-8", "surrogateescape")
        clean = posixpath.normpath(name)
        if name.startswith("/") or clean == ".." or clean.startswith("../"):
            raise BadLayout(
                f"{self._place} holds {name!a}, which is outside the archive",
                where={"file": self._place},
            )
        return clean


@contextlib.contextmanager
def open_archive(path: Path | None, runtime: Runtime) -> Iterator[ArchiveFiles]:
    """The members of the archive ``path``, decompressed into a temporary file if need be.

    ``None`` is standard input, which is spooled. Raises ``BadLayout``, ``TooLarge``,
    ``CannotWrite``.
    """
    if path is None:
        with open_stream(sys.stdin.buffer, "standard input", runtime) as files:
            yield files
        return
    with explained(path, "read"):
        stream = path.open("rb")
    # A pipe by name, as a shell's <(docker save …) makes it, can be read once only.
    opened = _in_place if stream.seekable() else open_stream
    with stream, opened(stream, str(path), runtime) as files:
        yield files


@contextlib.contextmanager
def _in_place(stream: BinaryIO, what: str, runtime: Runtime) -> Iterator[ArchiveFiles]:
    with _unfolded(stream, what, runtime) as plain:
        yield ArchiveFiles(plain, what)


@contextlib.contextmanager
def open_stream(stream: Readable, what: str, runtime: Runtime) -> Iterator[ArchiveFiles]:
    """The members of an archive that can be read once only: it is spooled first."""
    with spooled(stream, what, runtime) as spool, _unfolded(spool, what, runtime) as plain:
        yield ArchiveFiles(plain, what)


@contextlib.contextmanager
def _unfolded(stream: BinaryIO, what: str, runtime: Runtime) -> Iterator[BinaryIO]:
    start = stream.read(MAGIC_LENGTH)
    stream.seek(0)
    if codec_of(start) == "none":
        yield stream
        return
    with spooled(decompressed(stream, what), what, runtime) as spool:
        yield spool


@contextlib.contextmanager
def spooled(stream: Readable, what: str, runtime: Runtime) -> Iterator[BinaryIO]:
    """All of ``stream`` in a temporary file without a name, which ends with the block."""
    folder = Path(tempfile.gettempdir())
    with contextlib.ExitStack() as stack:
        with explained(folder):
            spool = stack.enter_context(tempfile.TemporaryFile(dir=folder))
        while chunk := stream.read(CHUNK):
            runtime.cancel.check()
            with explained(folder):
                spool.write(chunk)
            if spool.tell() > SPOOL_LIMIT:
                raise TooLarge(f"{what} decompresses to more than {human_size(SPOOL_LIMIT)}")
        with explained(folder):
            spool.seek(0)
        yield cast("BinaryIO", spool)


class _Headers:
    """Feeds a ``TarReader`` block by block, so that it never reads ahead of a header.

    ``position`` after ``next()`` is where the member's content begins. The content itself is
    stepped over: the reader skips zeros that cost nothing while the file is sought.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = self._end = os.fstat(stream.fileno()).st_size
        self.position = 0
        self.to_step = 0

    def step(self, size: int) -> None:
        """The next ``size`` bytes are content, of no interest."""
        # A truncated archive ends early here too, and the reader says so.
        self.to_step = size
        self._end = min(self.position + size, self._size)

    def read(self, size: int, /) -> bytes:
        if self.to_step:
            part = min(size, self.to_step, self._end - self.position, len(_ZEROS))
            self.position += part
            self.to_step -= part
            return _ZEROS[:part]
        block = os.pread(self._stream.fileno(), BLOCK, self.position)
        self.position += len(block)
        return block
