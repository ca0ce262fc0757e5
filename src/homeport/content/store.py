"""The cache on disk: content by digest, and small answers by key.

    blobs/ALGORITHM/HEX      whole, verified content; the name says what it must be
    answers/NAMESPACE/KEY    small results computed from content ("pieces of layer X")
    partial/ALGORITHM-HEX    a download that was cut, to be resumed
    leases/ID                a running process; locked while it lives

Concurrent processes share a store without a central lock: files are written beside
and renamed, and the same digest means the same bytes. ``prune`` removes the least
recently used first and nothing that a live lease may have seen. A store is never
needed for correctness: every file in it can be made or fetched again, and the code that
reads content for a result verifies it (``content.blob.verified``).

Not for choosing what is worth keeping: callers decide what they put in.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from homeport.content.blob import FileBlob
from homeport.content.digest import Digest
from homeport.content.files import atomic_write, explained, sync_directory
from homeport.content.reading import CHUNK, Readable
from homeport.errors import IntegrityError
from homeport.progress import CancelToken

DEFAULT_BOUND = 5 << 30  # bytes
_LOCK_POLL = 0.05  # seconds between tries for a file that another process holds


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds: number of files and bytes, per kind."""

    blobs: int
    blob_bytes: int
    answers: int
    answer_bytes: int
    partial_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.blob_bytes + self.answer_bytes + self.partial_bytes


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What ``prune`` removed and what is left, in bytes."""

    removed: int
    removed_bytes: int
    kept_bytes: int


class StoreWriter:
    """Content on its way into the store; unknown to anyone until ``commit``."""

    def __init__(self, store: Store, algorithm: str) -> None:
        self._store = store
        self._algorithm = algorithm
        self._hasher: Any = hashlib.new(algorithm)
        self._path = store.root / "partial" / f"new-{os.urandom(12).hex()}"
        self.size = 0
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._path.open("xb")

    def write(self, data: bytes | memoryview) -> None:
        with explained(self._path):
            self._stream.write(data)
        self._hasher.update(data)
        self.size += len(data)

    def commit(self, expected: Digest | None = None, *, sync: bool = True) -> FileBlob:
        """Make the content part of the store under its digest.

        Raises ``IntegrityError`` if ``expected`` is another digest. ``sync=False`` is for
        content that is cheap to make again.
        """
        digest = Digest.finished(self._hasher, self._algorithm)
        try:
            if expected is not None and digest != expected:
                raise IntegrityError(f"content has digest {digest}, expected {expected}")
            with explained(self._path):
                self._stream.flush()
                if sync:
                    os.fsync(self._stream.fileno())
                self._stream.close()
            return self._store.adopt(self._path, digest, self.size, sync=sync)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Forget the content; nothing stays."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


class Store:
    """A content-addressed store in the directory ``root`` (made when first written to)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        #: Whether this process has added anything, so that a bound may be passed.
        self.has_grown = False
        #: What this process has hashed and synced itself, as it was then.
        self._verified: dict[Digest, tuple[int, int]] = {}

    def get(self, digest: Digest, size: int | None = None) -> FileBlob | None:
        """The content with this digest, or ``None``; marks it as used just now.

        A file whose size is not ``size`` is damaged: it is dropped and ``None`` returned.
        """
        path = self._blob_path(digest)
        try:
            status = path.stat()
        except OSError:
            return None
        if size is not None and status.st_size != size:
            self.drop(digest)
            return None
        verified_now = self._verified.get(digest) == _state(status)
        with contextlib.suppress(OSError):
            os.utime(path)
            if verified_now:
                self._verified[digest] = _state(path.stat())
        return FileBlob(path, digest, status.st_size, verified_now)

    def put(self, stream: Readable, digest: Digest | None = None, *, sync: bool = True) -> FileBlob:
        """Store a whole stream; ``IntegrityError`` if it does not have ``digest``."""
        with self.writer(digest.algorithm if digest else "sha256") as writer:
            while chunk := stream.read(CHUNK):
                writer.write(chunk)
            return writer.commit(digest, sync=sync)

    def put_bytes(self, data: bytes, *, sync: bool = False) -> FileBlob:
        """Store bytes in memory."""
        digest = Digest.of(data)
        if found := self.get(digest, len(data)):
            return found
        with self.writer() as writer:
            writer.write(data)
            return writer.commit(digest, sync=sync)

    @contextlib.contextmanager
    def writer(self, algorithm: str = "sha256") -> Iterator[StoreWriter]:
        """Content of unknown digest; abandoned unless committed inside the block."""
        writer = StoreWriter(self, algorithm)
        try:
            yield writer
        finally:
            writer.abandon()

    def adopt(self, path: Path, digest: Digest, size: int, *, sync: bool = True) -> FileBlob:
        """Move a finished file whose digest the caller has computed into the store.

        ``sync`` says that its content is on the disk, and makes the move durable too.
        """
        target = self._blob_path(digest)
        self.has_grown = True
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            if sync:
                sync_directory(target.parent)
                self._verified[digest] = _state(target.stat())
        return FileBlob(target, digest, size, verified_now=sync)

    def drop(self, digest: Digest) -> None:
        """Forget content, for example because it was found damaged."""
        self._verified.pop(digest, None)
        with contextlib.suppress(OSError):
            self._blob_path(digest).unlink()

    @contextlib.contextmanager
    def partial(self, digest: Digest, cancel: CancelToken | None = None) -> Iterator[BinaryIO]:
        """The resumable download of ``digest``: a file to append to, held by us alone.

        Waits while another process holds it; ask ``get`` again inside the block. What was
        written stays for the next run. Finish with ``commit_partial``.
        """
        path = self.root / "partial" / f"{digest.algorithm}-{digest.hex}"
        self.has_grown = True
        stream = _open_locked(path, cancel or CancelToken())
        try:
            yield stream
        finally:
            stream.close()

    def commit_partial(self, stream: BinaryIO, digest: Digest, size: int) -> FileBlob:
        """Verify the whole of a ``partial`` file and make it content, or empty it and raise."""
        stream.flush()
        stream.seek(0)
        hasher = digest.hasher()
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
        found = Digest.finished(hasher, digest.algorithm)
        if found != digest or stream.tell() != size:
            seen = stream.tell()
            stream.truncate(0)
            stream.seek(0)
            raise IntegrityError(
                f"downloaded {seen} bytes with digest {found}, expected {size} bytes with {digest}",
                where={"digest": str(digest)},
            )
        path = Path(stream.name)
        with explained(path):
            os.fsync(stream.fileno())
        return self.adopt(path, digest, size)

    def recall(self, namespace: str, key: str) -> bytes | None:
        """A remembered answer, or ``None``; marks it as used just now."""
        path = self._answer_path(namespace, key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def remember(self, namespace: str, key: str, answer: bytes) -> None:
        """Keep a small answer under ``key`` (any text that names all its inputs)."""
        self.has_grown = True
        with atomic_write(self._answer_path(namespace, key), sync=False) as stream:
            stream.write(answer)

    def forget(self, namespace: str, key: str) -> None:
        """Drop a remembered answer that turned out to be of no use."""
        with contextlib.suppress(OSError):
            self._answer_path(namespace, key).unlink()

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """While the block runs, ``prune`` keeps everything used since it began."""
        path = self.root / "leases" / os.urandom(12).hex()
        with _open_locked(path, CancelToken()) as stream:
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    Path(stream.name).unlink()

    def usage(self) -> Usage:
        """Count what is there."""
        blobs = [size for _, size, _ in self._files("blobs")]
        answers = [size for _, size, _ in self._files("answers")]
        partial = sum(size for _, size, _ in self._files("partial"))
        return Usage(
            blobs=len(blobs),
            blob_bytes=sum(blobs),
            answers=len(answers),
            answer_bytes=sum(answers),
            partial_bytes=partial,
        )

    def prune(self, bound: int = DEFAULT_BOUND) -> Pruned:
        """Remove the least recently used until at most ``bound`` bytes are left.

        Files that a live lease may use stay, even over the bound.
        """
        horizon = self._oldest_live_lease()
        files = sorted(
            [*self._files("blobs"), *self._files("answers"), *self._files("partial")],
            key=lambda file: file[2],
        )
        total = sum(size for _, size, _ in files)
        removed = removed_bytes = 0
        for path, size, used in files:
            if total - removed_bytes <= bound or used >= horizon:
                break
            if path.parent.name == "partial" and _is_locked(path):
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
                removed_bytes += size
        return Pruned(
            removed=removed, removed_bytes=removed_bytes, kept_bytes=total - removed_bytes
        )

    def verify(self, on_file: Callable[[int], None] | None = None) -> list[Digest]:
        """Read all content again; drop what does not match its name and return those names."""
        damaged: list[Digest] = []
        for path, size, _ in self._files("blobs"):
            digest = Digest(path.parent.name, path.name)
            hasher = digest.hasher()
            with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    hasher.update(chunk)
                if Digest.finished(hasher, digest.algorithm) != digest:
                    damaged.append(digest)
                    self.drop(digest)
            if on_file:
                on_file(size)
        return damaged

    def clear(self) -> None:
        """Remove everything, also under other processes' feet."""
        with explained(self.root, "remove"):
            if self.root.exists():
                shutil.rmtree(self.root)

    def _blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / digest.algorithm / digest.hex

    def _answer_path(self, namespace: str, key: str) -> Path:
        return self.root / "answers" / namespace / hashlib.sha256(key.encode()).hexdigest()

    def _files(self, kind: str) -> Iterator[tuple[Path, int, float]]:
        """(path, bytes, time of last use) of every file below one of the store's folders."""
        for folder, _, names in os.walk(self.root / kind):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(OSError):
                    status = path.stat()
                    yield path, status.st_size, status.st_mtime

    def _oldest_live_lease(self) -> float:
        oldest = time.time()
        for path, _, began in self._files("leases"):
            if _is_locked(path):
                oldest = min(oldest, began)
            else:  # its process is gone
                with contextlib.suppress(OSError):
                    path.unlink()
        return oldest


def _state(status: os.stat_result) -> tuple[int, int]:
    """Another file, and the same one written to, have another state."""
    return status.st_ino, status.st_mtime_ns


def _open_locked(path: Path, cancel: CancelToken) -> BinaryIO:
    """Open ``path`` for reading and appending, holding its lock until it is closed."""
    while True:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            stream = path.open("a+b")
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                try:
                    cancel.wait(_LOCK_POLL)
                except BaseException:
                    stream.close()
                    raise
        # The former holder may have renamed or removed the file that we waited for.
        with contextlib.suppress(OSError):
            if path.stat().st_ino == os.fstat(stream.fileno()).st_ino:
                return stream
        stream.close()


def _is_locked(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
