"""A filesystem in a directory, opened for inspection as if it were an image of one layer.

For scanners, which are handed an unpacked root. Links are never followed out of it; what cannot
be read is left out and told. The directory must not change meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.budget import Budget
from homeport.content.blob import BytesBlob
from homeport.images.image import Image
from homeport.inspection.image.file_contents import Sink
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.layers.examine_layer import LayerContents
from homeport.layers.entry import Entry, Kind, join
from homeport.layers.history import StackedEntry
from homeport.layers.overlay import unpack
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, ImageConfig, Manifest, written
from homeport.runtime import Runtime

_IN_ONE_PIECE = 1 << 18
_READ_LIMIT = 16 << 20


class OpenedRoot(OpenedImage, frozen=True, kw_only=True):
    """The files below ``root``, read.

    newest:   the last modification of a file, in seconds since 1970
    problems: what could not be read, in words
    """

    root: Path
    newest: int = 0
    problems: tuple[str, ...] = ()

    def read(self, paths: Iterable[bytes], *, limit: int = _READ_LIMIT) -> dict[bytes, bytes]:
        found = {}
        for path in paths:
            resolved = self.history.resolve(path)
            place = self.history.file_at(resolved) if resolved is not None else None
            if resolved is None or place is None or place.entry.kind != "file":
                continue
            if place.entry.size <= limit:
                with _opened(self.root, resolved) as stream:
                    found[path] = stream.read(limit)
        return found

    def stream(self, places: Iterable[StackedEntry], sink: Sink) -> None:
        for place in places:
            with _opened(self.root, place.entry.path) as stream:
                sink(place.entry, stream.read)


def open_root(root: Path, runtime: Runtime, name: str) -> OpenedRoot:
    """Read the filesystem below ``root``. Raises ``LimitExceeded``, ``Interrupted``, ``OSError``
    for ``root`` itself.
    """
    contents = LayerContents(runtime.cancel.check)
    reader = _Reader(root, contents, runtime)
    entries = tuple(reader.entries())
    history = unpack(entries, Budget(name))
    places = [(path, place.entry.sha256) for path, place in history.final.items()]
    config = ImageConfig()
    return OpenedRoot(
        root=root, newest=reader.newest, problems=tuple(reader.problems),
        address=name, image=_no_image(), config=config, config_faults=(), descriptors=(),
        history=history, blobs={}, runtime=runtime, metadata_files=contents.files,
        binaries=contents.binaries,
        metadata_paths=tuple(sorted(path for path, digest in places if digest in contents.files)),
        programs=tuple(
            sorted((path, contents.binaries[digest]) for path, digest in places
                   if digest in contents.binaries)
        ),
    )  # fmt: skip


def _no_image() -> Image:
    config = BytesBlob(b"{}")
    manifest = Manifest(
        schema_version=2, media_type=media_types.OCI_MANIFEST,
        config=Descriptor(
            media_type=media_types.OCI_EMPTY, digest=str(config.digest), size=config.size
        ),
        layers=(),
    )  # fmt: skip
    return Image(document=written(manifest, media_types.OCI_MANIFEST), blobs={})


class _Reader:
    def __init__(self, root: Path, contents: LayerContents, runtime: Runtime) -> None:
        self.newest = 0
        self.problems: list[str] = []
        self._root = root
        self._contents = contents
        self._check = runtime.cancel.check

    def entries(self) -> Iterator[Entry]:
        """Everything below the root, directories before what is in them, names in order."""
        pending = [b""]
        os.scandir(self._root).close()  # the root itself must be readable
        while pending:
            folder = pending.pop()
            self._check()
            try:
                names = sorted(os.listdir(_below(self._root, folder)))
            except OSError as error:
                self._problem(folder, error)
                continue
            inner = []
            for name in names:
                path = join(folder, name)
                try:
                    entry = self._entry(path)
                except OSError as error:
                    self._problem(path, error)
                    continue
                if entry is None:
                    continue
                if entry.kind == "directory":
                    inner.append(path)
                yield entry
            pending += reversed(inner)

    def _entry(self, path: bytes) -> Entry | None:
        found = os.lstat(_below(self._root, path))
        kind = _kind(found.st_mode)
        if kind is None:
            return None
        entry = Entry(
            path=path, kind=kind, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid,
            gid=found.st_gid, size=0, mtime=found.st_mtime_ns, target=b"", sha256=b"", start=b"",
        )  # fmt: skip
        if kind == "symlink":
            return msgspec.structs.replace(entry, target=os.readlink(_below(self._root, path)))
        if kind != "file":
            return entry
        self.newest = max(self.newest, int(found.st_mtime))
        if not found.st_size:
            return entry
        with _opened(self._root, path) as stream:
            if found.st_size <= _IN_ONE_PIECE:
                data = stream.read(_IN_ONE_PIECE)
                digest, start = self._contents.small(path, data), data[:4]
            else:
                digest, start = self._contents.large(path, found.st_size, stream.read)
        return msgspec.structs.replace(entry, size=found.st_size, sha256=digest, start=start)

    def _problem(self, path: bytes, error: OSError) -> None:
        self.problems.append(f"/{os.fsdecode(path)}: {error.strerror}")


_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink",
}  # fmt: skip


def _kind(mode: int) -> Kind | None:
    """Sockets, devices and pipes hold nothing to list."""
    return _KINDS.get(stat.S_IFMT(mode))


def _below(root: Path, path: bytes) -> bytes:
    return os.path.join(os.fsencode(root), path)


def _opened(root: Path, path: bytes) -> BinaryIO:
    # A pipe put there since cannot stop us, a link cannot lead elsewhere.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(_below(root, path), flags), "rb")
