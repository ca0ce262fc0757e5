"""Local files and directories of a recipe as nodes: read, hashed, normalized.

Only a file's bytes and its owner's execute bit are taken from this machine:
modes are 0644 or 0755, owners and times the recipe's. What the recipe names must lie in the
recipe's boundary; it is opened once, and everything in it by handle, no link followed. A file
that changes between being hashed and being written is noticed then, because contents are
verified.

Not for the rules of COPY: a recipe copies a file or a directory's content, no more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.budget import Budget, LimitExceeded
from homeport.content.blob import Blob, BytesBlob, FileBlob
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.copying.errors import CopyError
from homeport.copying.ignore import Ignore
from homeport.copying.rooted import Rooted, RootedDirectory, RootedFile
from homeport.errors import UsageError
from homeport.printable import path_text
from homeport.progress import CancelToken
from homeport.recipe.boundary import OutsideRecipe
from homeport.recipe.entries import LocalFiles
from homeport.tree.node import Node, Source

#: Smaller files are kept in memory between planning and writing.
_SMALL = 1 << 20


class BadLocalFile(UsageError):
    """A file named by a recipe is missing, unreadable or of an unsupported type."""

    id = "local-file"


def local_nodes(files: LocalFiles, mtime: int, cancel: CancelToken) -> Iterable[tuple[bytes, Node]]:
    """What ``files`` puts into an image: (path, node), parents before children."""
    where = {**files.place.where(), "source": files.written}
    try:
        return list(_Reader(files, mtime, cancel).read())
    except OSError as error:
        what = f"cannot read {_named(error, files)}: {error.strerror}"
        raise BadLocalFile(what, where=where) from error
    except (BadLocalFile, LimitExceeded, OutsideRecipe) as error:
        raise error.at(**where) from None
    except CopyError as error:  # a pattern of ``exclude``
        raise BadLocalFile(error.what, where=where) from error


def _named(error: OSError, files: LocalFiles) -> str:
    """The file that an error names; descriptors have only the last part of its name."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, bytes | str) else ""
    if not name or name in (".", str(files.source)):
        return files.written
    return f"{name} of {files.written}"


class _Reader:
    def __init__(self, files: LocalFiles, mtime: int, cancel: CancelToken) -> None:
        self._files = files
        self._mtime = mtime
        self._cancel = cancel
        self._budget = Budget(files.written)
        patterns = [pattern.encode() for pattern in files.exclude]
        self._exclude = Ignore(patterns, self._budget.steps)
        self._to = files.to.encode("utf-8", "surrogateescape").strip(b"/")

    def read(self) -> Iterator[tuple[bytes, Node]]:
        # The recipe may name a link: its target is taken.
        real = self._files.boundary.real(self._files.source)
        if real.is_dir():
            with self._opened(real) as root:
                if self._to:
                    yield self._to, self._directory(b"")
                yield from self._below(root, b"", real, None)
            return
        to = self._to
        if self._files.to.endswith("/"):
            to = _join(to, os.fsencode(self._files.source.name))
        with self._opened(real.parent) as parent:
            yield to, self._file(parent, os.fsencode(real.name), real, b"")

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[RootedDirectory]:
        with self._files.boundary.open_directory(path) as folder:
            home = Rooted(os.dup(folder), owners=False)
            try:
                with home.root() as root:
                    yield root
            finally:
                home.close()

    def _below(
        self, directory: RootedDirectory, relative: bytes, path: Path, above: list[bool] | None
    ) -> Iterator[tuple[bytes, Node]]:
        for name, _ in sorted(directory.entries()):
            self._cancel.check()
            below = _join(relative, name)
            self._budget.entry(below)
            info = directory.stat(name)
            if info is None:
                continue  # removed since it was listed
            excluded, hits = self._exclude.step(below, above)
            to = _join(self._to, below)
            local = path / os.fsdecode(name)
            if info.kind == "directory":
                if excluded and not self._exclude.has_exceptions:
                    continue
                with directory.open_directory(name) as child:
                    inside = list(self._below(child, below, local, hits))
                if not excluded or inside:
                    yield to, self._directory(below)
                yield from inside
            elif excluded:
                continue
            elif info.kind == "symlink":
                yield to, self._symlink(directory.readlink(name), below)
            elif info.kind == "file":
                yield to, self._file(directory, name, local, below)
            else:
                shown = below.decode("utf-8", "backslashreplace")
                raise BadLocalFile(
                    f"cannot copy {shown}: it is a {info.kind}",
                    hint="exclude it",
                )

    def _source(self, below: bytes) -> Source:
        name = self._files.written
        if below:
            name = f"{name.rstrip('/')}{path_text(below)}"
        return Source(kind="local", name=name, detail=str(self._files.place))

    def _directory(self, below: bytes) -> Node:
        return Node(
            type="directory", mode=0o755, uid=self._files.uid, gid=self._files.gid,
            mtime=self._mtime, source=self._source(below),
        )  # fmt: skip

    def _symlink(self, target: bytes, below: bytes) -> Node:
        return Node(
            type="symlink", mode=0o777, uid=self._files.uid, gid=self._files.gid,
            mtime=self._mtime, target=target, source=self._source(below),
        )  # fmt: skip

    def _file(self, directory: RootedDirectory, name: bytes, path: Path, below: bytes) -> Node:
        with directory.open_file(name) as opened:
            mode = self._files.mode
            if mode is None:
                mode = 0o755 if opened.info().mode & 0o100 else 0o644
            content = self._content(opened, path)
        return Node(
            type="file", mode=mode, uid=self._files.uid, gid=self._files.gid,
            mtime=self._mtime, content=content, source=self._source(below),
        )  # fmt: skip

    def _content(self, opened: RootedFile, path: Path) -> Blob | None:
        hasher = hashlib.sha256()
        size = 0
        small: list[bytes] = []
        while data := opened.read(CHUNK):
            self._cancel.check()
            hasher.update(data)
            size += len(data)
            if size <= _SMALL:
                small.append(data)
        if size <= _SMALL:
            return BytesBlob(b"".join(small)) if size else None
        return FileBlob(path, Digest.finished(hasher), size)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name
