"""Files out of an image into a directory, without root and without leaving the directory.

Every path is resolved from a directory handle, and no link on the disk is followed: whatever the
links of the image are, nothing is written outside. Owners and setuid bits are not kept; devices
are skipped. Contents are checked against the digests of the listing.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.budget import Budget
from homeport.content.files import write_hint
from homeport.copying.errors import shown
from homeport.copying.metadata import Metadata
from homeport.copying.rooted import Rooted, RootedDirectory
from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.inspection.image.file_contents import Sink, stream_contents
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.image.path_globs import is_glob
from homeport.inspection.image.path_search import find_path, matcher
from homeport.layers.entry import Entry
from homeport.layers.history import StackedEntry
from homeport.printable import path_text

SCHEMA = "homeport-extract/v1"
_CHUNK = 1 << 18
_MAX_OPEN = 200  # handles of directories
#: The filesystem has no hard links, or no more of them for this file.
_NO_HARD_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})


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
    history = opened.history
    roots: set[bytes] = set()
    for text in patterns:
        if not is_glob(pattern := text.encode("utf-8", "surrogateescape")):
            roots.add(find_path(opened, text))
            continue
        wanted = matcher(pattern)
        hits = [path for path in history.final if wanted(path)]
        if not hits:
            find_path(opened, text)  # raises, naming similar paths
        roots.update(hits)
    return paths_below(opened, roots)


def paths_below(opened: OpenedImage, roots: AbstractSet[bytes]) -> list[bytes]:
    """Each of ``roots`` with all below it, in the order of paths."""
    history = opened.history
    found: list[bytes] = []
    below = b"" if b"" in roots else None  # paths that begin so are inside of the last root
    for path in sorted(history.final, key=lambda path: path.split(b"/")):
        if below is None or not path.startswith(below):
            if path not in roots:
                continue
            below = path + b"/"
        if path:  # the root is the destination directory itself
            found.append(path)
    return found


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
    _deliver(opened, [place], _to_stream(out))
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
            hint="choose an empty directory" if error.errno == errno.EEXIST else write_hint(error),
        ) from error


class _Extraction:
    def __init__(self, opened: OpenedImage, root: RootedDirectory, directory: str) -> None:
        self._directory = directory
        self._opened = opened
        self._folders = _Folders(root, Budget("the extraction"))
        self._skipped: list[str] = []

    def run(self, paths: Sequence[bytes]) -> Extracted:
        try:
            return self._run(paths)
        finally:
            self._folders.close()

    def _run(self, paths: Sequence[bytes]) -> Extracted:
        history = self._opened.history
        files: dict[bytes, StackedEntry] = {}
        directories: list[tuple[bytes, Entry]] = []
        links: list[tuple[bytes, Entry]] = []
        for path in paths:
            place = history.final[path]
            content = history.file_at(path)
            if place.entry.kind == "directory":
                directories.append((path, place.entry))
                self._folders.open(path)
            elif content is not None and content.entry.kind == "file":
                files[path] = content
            elif place.entry.kind == "symlink":
                links.append((path, place.entry))
            else:
                self._skipped.append(f"{path_text(path)}: {place.entry.kind}")
        size = self._files(files)
        # Links last: nothing is ever written through them.
        for path, entry in links:
            parent, name = self._parent(path)
            self._create(
                path,
                partial(parent.create_symlink, name, entry.target, Metadata(mtime=_time(entry))),
            )
        # Deepest first, so that a directory without write permission comes after its content.
        for path, entry in reversed(directories):
            metadata = Metadata(mode=entry.mode & 0o777 | 0o700, mtime=_time(entry))
            self._folders.open(path).set(metadata)
        return Extracted(
            directory=self._directory,
            files=len(files), directories=len(directories), links=len(links), size=size,
            skipped=tuple(self._skipped),
        )  # fmt: skip

    def _files(self, files: dict[bytes, StackedEntry]) -> int:
        """Write contents, each layer read once; returns the bytes written.

        Names of one file become hard links of each other, as in the image.
        """
        first: dict[int, bytes] = {}
        others: list[tuple[bytes, bytes, Entry]] = []
        for path, place in files.items():
            written = first.setdefault(id(place.entry), path)
            if written != path:
                others.append((path, written, place.entry))

        def sink(entry: Entry, read: Callable[[int], bytes]) -> None:
            path = first[id(entry)]
            parent, name = self._parent(path)
            content = _Checked(entry, read)
            self._create(path, partial(parent.create_file, name, content, _metadata(entry)))

        places = [files[path] for path in first.values()]
        size = _deliver(self._opened, places, sink)
        for path, written, entry in others:
            size += self._other_name(path, written, entry)
        return size

    def _other_name(self, path: bytes, written: bytes, entry: Entry) -> int:
        """Link ``path`` to a file that is ``written``; copy it where links are not possible."""
        folder, source = self._parent(written)
        with folder.again() as folder:
            parent, name = self._parent(path)
            try:
                self._create(path, partial(parent.create_hardlink, name, folder, source))
            except OSError as error:
                if error.errno not in _NO_HARD_LINK:
                    raise
            else:
                return 0
            with folder.open_file(source) as content:
                self._create(path, partial(parent.create_file, name, content, _metadata(entry)))
        return entry.size

    def _parent(self, path: bytes) -> tuple[RootedDirectory, bytes]:
        directory, _, name = path.rpartition(b"/")
        return self._folders.open(directory), name

    def _create(self, path: bytes, call: Callable[[], object]) -> None:
        try:
            call()
        except FileExistsError as error:
            raise CannotExtract(
                f"cannot write {shown(path)}: the file exists",
                where={"path": path_text(path)},
                hint="choose an empty directory",
            ) from error


class _Folders:
    """Directories below a root, made where they are missing; no link is followed.

    The handles on the way to the last directory stay open, since the next one is mostly near it.
    """

    def __init__(self, root: RootedDirectory, budget: Budget) -> None:
        self._budget = budget
        self._names: list[bytes] = []
        self._open = [root.again()]  # the root, then the directory of each name
        self._last: RootedDirectory | None = None  # where it is deeper than that

    def open(self, path: bytes) -> RootedDirectory:
        """The directory ``path``, valid until the next call."""
        names = path.split(b"/") if path else []
        same = 0
        for name, known in zip(names, self._names[: len(self._open) - 1], strict=False):
            if name != known:
                break
            same += 1
        self._budget.steps(len(names) - same + 1)
        self._close(same)
        self._names = names
        current = self._open[-1]
        for name in names[same:]:
            below = self._below(current, name, path)
            if len(self._open) < _MAX_OPEN:
                self._open.append(below)
            else:
                self._close(len(self._open) - 1)
                self._last = below
            current = below
        return current

    def close(self) -> None:
        self._close(-1)

    def _close(self, kept: int) -> None:
        """Close the handles below the first ``kept`` names."""
        if self._last is not None:
            self._last.close()
            self._last = None
        while len(self._open) > kept + 1:
            self._open.pop().close()

    def _below(self, current: RootedDirectory, name: bytes, path: bytes) -> RootedDirectory:
        try:
            return current.open_directory(name)
        except FileNotFoundError:
            return current.create_directory(name, Metadata(mode=0o755))
        except OSError as error:
            raise CannotExtract(
                f"cannot create the directory {shown(path)}: "
                f"{shown(name)} exists and is not a directory",
                where={"path": path_text(path)},
            ) from error


def _deliver(opened: OpenedImage, places: Sequence[StackedEntry], sink: Sink) -> int:
    """Send the contents of ``places``, all different, to ``sink``; returns their bytes."""
    sinks: dict[int, Sink] = {id(place.entry): sink for place in places}
    stream_contents(opened.history, opened.blobs, places, sinks, cancel=opened.runtime.cancel)
    return sum(place.entry.size for place in places)


def _metadata(entry: Entry) -> Metadata:
    return Metadata(mode=entry.mode & 0o777, mtime=_time(entry))


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
