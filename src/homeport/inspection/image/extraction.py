"""Files out of an image into a directory, without root and without leaving the directory.

Every path is resolved from a directory handle, and no link on the disk is followed: whatever the
links of the image are, nothing is written outside. Owners and setuid bits are not kept; devices
are skipped. Contents are checked against the digests of the listing.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.copying.errors import shown
from homeport.copying.metadata import Metadata
from homeport.copying.rooted import Rooted, RootedDirectory
from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.inspection.image.file_contents import Sink, stream_contents
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_search import find_path, matcher
from homeport.layers.entry import Entry
from homeport.layers.history import StackedEntry
from homeport.printable import path_text

SCHEMA = "homeport-extract/v1"
_CHUNK = 1 << 18


class CannotExtract(HomeportError):
    """A file that cannot be written to the destination."""

    id = "cannot-extract"


class Extracted(msgspec.Struct, frozen=True, kw_only=True):
    """``homeport-extract/v1``: how much was written, and which paths were skipped and why."""

    schema: str = SCHEMA
    directory: str
    files: int
    directories: int
    links: int
    size: int
    skipped: tuple[str, ...]


def select_paths(opened: OpenedImage, patterns: Sequence[str]) -> list[bytes]:
    """The paths that match, each with all below it. Raises ``PathNotFound``."""
    history = opened.history
    found: set[bytes] = set()
    for text in patterns:
        pattern = text.encode("utf-8", "surrogateescape")
        if any(char in pattern for char in b"*?["):
            wanted = matcher(pattern)
            hits = [path for path in history.final if wanted(path)]
            if not hits:
                find_path(opened, text)  # raises, naming similar paths
            roots = hits
        else:
            roots = [find_path(opened, text)]
        found.update(roots)
        inside = tuple(root + b"/" for root in roots if root)
        if b"" in roots:
            found.update(history.final)
        elif inside:
            found.update(path for path in history.final if path.startswith(inside))
    found.discard(b"")  # the destination directory itself
    return sorted(found, key=lambda path: path.split(b"/"))


def write_file(opened: OpenedImage, text: str, out: BinaryIO) -> int:
    """Write one file's content to a stream; returns its size. Raises ``UsageError``."""
    path = find_path(opened, text)
    resolved = opened.history.resolve(path)
    place = opened.history.file_at(resolved) if resolved is not None else None
    if place is None or place.entry.kind != "file":
        kind = place.entry.kind if place is not None else "broken link"
        raise UsageError(
            f"cannot write {path_text(path)} to standard output: it is a {kind}, not a file",
            hint="write it to a directory: -o DIR",
        )
    _deliver(opened, {path: place}, lambda _path: _to_stream(out))
    return place.entry.size


def extract(opened: OpenedImage, paths: Sequence[bytes], folder: Path) -> Extracted:
    """Write ``paths`` below ``folder``, created if missing. Existing files are not overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        home = Rooted(bytes(folder), owners=False)
        try:
            with home.root() as root:
                return _Extraction(opened, root, str(folder)).run(paths)
        finally:
            home.close()
    except OSError as error:
        raise CannotExtract(
            f"cannot write to {folder}: {error.strerror}",
            where={"file": str(folder)},
            hint="choose an empty directory" if error.errno == errno.EEXIST else None,
        ) from error


class _Extraction:
    def __init__(self, opened: OpenedImage, root: RootedDirectory, directory: str) -> None:
        self._directory = directory
        self._opened = opened
        self._root = root
        self._left_out: list[str] = []
        self._links = self._directories = 0

    def run(self, paths: Sequence[bytes]) -> Extracted:
        history = self._opened.history
        files: dict[bytes, StackedEntry] = {}
        directories: list[tuple[bytes, Entry]] = []
        links: list[tuple[bytes, Entry]] = []
        for path in paths:
            place = history.final[path]
            content = history.file_at(path)
            if place.entry.kind == "directory":
                directories.append((path, place.entry))
                self._open(path).close()
            elif content is not None and content.entry.kind == "file":
                files[path] = content
            elif place.entry.kind == "symlink":
                links.append((path, place.entry))
            else:
                self._left_out.append(f"{path_text(path)}: {place.entry.kind}")
        size = self._files(files)
        # Links last: nothing is ever written through them.
        for path, entry in links:
            with self._open(path.rpartition(b"/")[0]) as parent:
                create, name = parent.create_symlink, path.rpartition(b"/")[2]
                self._create(
                    path, partial(create, name, entry.target, Metadata(mtime=_time(entry)))
                )
        # Deepest first, so that a directory without write permission comes after its content.
        for path, entry in reversed(directories):
            with self._open(path) as directory:
                directory.set(Metadata(mode=entry.mode & 0o777 | 0o700, mtime=_time(entry)))
        return Extracted(
            directory=self._directory,
            files=len(files), directories=len(directories), links=len(links), size=size,
            skipped=tuple(self._left_out),
        )  # fmt: skip

    def _files(self, files: dict[bytes, StackedEntry]) -> int:
        """Contents, each layer read once; other names of one content are copies of it."""

        def sink(path: bytes) -> Sink:
            def write(entry: Entry, read: Callable[[int], bytes]) -> None:
                metadata = Metadata(mode=entry.mode & 0o777, mtime=_time(entry))
                with self._open(path.rpartition(b"/")[0]) as parent:
                    name, content = path.rpartition(b"/")[2], _Checked(entry, read)
                    self._create(path, partial(parent.create_file, name, content, metadata))

            return write

        return _deliver(self._opened, files, sink)

    def _create(self, path: bytes, call: Callable[[], object]) -> None:
        try:
            call()
        except FileExistsError as error:
            raise CannotExtract(
                f"cannot write {shown(path)}: the file exists",
                where={"path": path_text(path)},
                hint="choose an empty directory",
            ) from error

    def _open(self, path: bytes) -> RootedDirectory:
        """The directory ``path`` below the root, made where it is missing; no link followed."""
        current = self._root.again()
        for name in path.split(b"/") if path else ():
            try:
                below = current.open_directory(name)
            except FileNotFoundError:
                below = current.create_directory(name, Metadata(mode=0o755))
            except OSError as error:
                current.close()
                raise CannotExtract(
                    f"cannot create the directory {shown(path)}: "
                    f"{shown(name)} exists and is not a directory",
                    where={"path": path_text(path)},
                ) from error
            current.close()
            current = below
        return current


def _deliver(
    opened: OpenedImage, files: dict[bytes, StackedEntry], sink_for: Callable[[bytes], Sink]
) -> int:
    """Read contents once and hand each to the sinks of all its paths; the bytes of all."""
    paths: dict[int, list[bytes]] = {}
    for path, place in files.items():
        paths.setdefault(id(place.entry), []).append(path)

    def fan_out(entry: Entry, read: Callable[[int], bytes]) -> None:
        mine = paths[id(entry)]
        if len(mine) == 1:
            sink_for(mine[0])(entry, read)
            return
        parts = list(iter(lambda: read(_CHUNK), b""))
        for path in mine:
            sink_for(path)(entry, _replay(parts))

    sinks: dict[int, Sink] = dict.fromkeys(paths, fan_out)
    stream_contents(
        opened.history, opened.blobs, list(files.values()), sinks, cancel=opened.runtime.cancel
    )
    return sum(place.entry.size for place in files.values())


def _replay(parts: list[bytes]) -> Callable[[int], bytes]:
    rest: Iterator[bytes] = iter(parts)
    return lambda _size: next(rest, b"")


def _to_stream(out: BinaryIO) -> Sink:
    def write(entry: Entry, read: Callable[[int], bytes]) -> None:
        checked = _Checked(entry, read)
        while data := checked.read(_CHUNK):
            out.write(data)

    return write


class _Checked:
    """A content whose digest is that of the listing, or ``IntegrityError`` at its end."""

    def __init__(self, entry: Entry, read: Callable[[int], bytes]) -> None:
        self._entry = entry
        self._read = read
        self._hasher = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._read(size)
        self._hasher.update(data)
        if not data and self._entry.size and self._hasher.digest() != self._entry.sha256:
            raise IntegrityError(
                f"{shown(self._entry.path)}: content does not match the digest of the listing"
            )
        return data

    def take_hole(self) -> int:
        return 0


def _time(entry: Entry) -> int:
    return max(0, min(entry.mtime, 1 << 62))
