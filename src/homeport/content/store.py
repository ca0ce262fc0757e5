"""The cache on disk: content by digest, and small answers by key.

    blobs/ALGORITHM/HEX      whole, verified content; the name says what it must be
    answers/NAMESPACE/KEY    small results computed from content ("pieces of layer X")
    seals/NAMESPACE/KEY      for each answer its MAC, by a key outside the cache
    partial/ALGORITHM-HEX    a download that was cut, to be resumed
    leases/ID                a running process; locked while it lives

Concurrent processes share a store without a central lock: files are written beside
and renamed, and the same digest means the same bytes. ``prune`` removes the least
recently used first and nothing that a live lease may have seen. A store is never
needed for correctness: every file in it can be made or fetched again, and the code that
reads content for a result verifies it (``content.blob.verified``). Answers cannot be verified
so; they are used only with a valid MAC, and none of a cache that belongs to another user.
Nothing below the root is opened through a link, and only regular files are.

Not for choosing what is worth keeping: callers decide what they put in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from homeport.content.answer_key import key_of_process
from homeport.content.blob import FileBlob
from homeport.content.digest import Digest
from homeport.content.files import explained
from homeport.content.reading import CHUNK, Readable
from homeport.content.rooted_folders import (
    make_folders,
    open_file,
    open_folder,
    read_file,
    replace_file,
)
from homeport.copying.removal import remove_tree
from homeport.errors import IntegrityError, UsageError
from homeport.progress import CancelToken
from homeport.quantities import apart

DEFAULT_BOUND = 5 << 30  # bytes
_USES = "uses"
_LOCK_POLL = 0.05  # seconds between tries for a file that another process holds
_MAC_SIZE = 32


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


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """What ``verify`` removed: damaged content by its digest, and answers without a valid MAC."""

    blobs: tuple[Digest, ...]
    answers: int


class StoreWriter:
    """Content on its way into the store; unknown to anyone until ``commit``."""

    def __init__(self, store: Store, algorithm: str) -> None:
        self._store = store
        self._algorithm = algorithm
        self._hasher: Any = hashlib.new(algorithm)
        self._name = f"new-{os.urandom(12).hex()}"
        self._path = store.root / "partial" / self._name  # for messages
        self.size = 0
        with explained(self._path), open_folder(store.root, "partial", make=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            self._stream = os.fdopen(open_file(self._name, folder, flags), "wb")

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
            return self._store.adopt(self._name, digest, self.size, sync=sync)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        """Forget the content; nothing stays."""
        with contextlib.suppress(OSError):
            self._stream.close()
        with contextlib.suppress(OSError), open_folder(self._store.root, "partial") as folder:
            os.unlink(self._name, dir_fd=folder)


class Store:
    """A content-addressed store in the directory ``root`` (made when first written to).

    find_key: gives the key for the MACs of answers; by default each process has its own
    """

    def __init__(self, root: Path, find_key: Callable[[], bytes] = key_of_process) -> None:
        self.root = root
        self._find_key = find_key
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
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or (size is not None and status.st_size != size):
                self.drop(digest)
                return None
            self._mark_used(digest)
            status = path.lstat()  # another process may have removed it before it was marked
        except OSError:
            return None
        verified_now = self._verified.get(digest) == _state(status)
        return FileBlob(path, digest, status.st_size, verified_now)

    def _mark_used(self, digest: Digest) -> None:
        """In a file of its own: the times of content say whether it has changed.

        Images on this machine share files with the store (``KnownGoodFiles``).
        """
        if not self.is_own:
            return
        with (
            contextlib.suppress(OSError),
            open_folder(self.root, _USES, digest.algorithm, make=True) as folder,
        ):
            try:
                os.utime(digest.hex, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                os.close(open_file(digest.hex, folder, os.O_WRONLY | os.O_CREAT))

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

    def adopt(self, name: str, digest: Digest, size: int, *, sync: bool = True) -> FileBlob:
        """Move a finished file of ``partial``, whose digest is known, into the store.

        ``sync`` says that its content is on the disk, and makes the move durable too.
        """
        target = self._blob_path(digest)
        self.has_grown = True
        with (
            explained(target),
            open_folder(self.root, "partial") as source,
            open_folder(self.root, "blobs", digest.algorithm, make=True) as folder,
        ):
            os.replace(name, digest.hex, src_dir_fd=source, dst_dir_fd=folder)
            if sync:
                with contextlib.suppress(OSError):  # not every filesystem can
                    os.fsync(folder)
                self._verified[digest] = _state(
                    os.stat(digest.hex, dir_fd=folder, follow_symlinks=False)
                )
        return FileBlob(target, digest, size, verified_now=sync)

    def adopt_partial(self, digest: Digest, size: int) -> FileBlob:
        """Make the ``partial`` file of ``digest``, verified and synced, content of the store."""
        return self.adopt(_partial_name(digest), digest, size)

    def drop(self, digest: Digest) -> None:
        """Forget content, for example because it was found damaged."""
        self._verified.pop(digest, None)
        self._unlink(digest.hex, "blobs", digest.algorithm)
        self._unlink(digest.hex, _USES, digest.algorithm)

    @contextlib.contextmanager
    def partial(self, digest: Digest, cancel: CancelToken | None = None) -> Iterator[BinaryIO]:
        """The resumable download of ``digest``: a file to append to, held by us alone.

        Waits while another process holds it; ask ``get`` again inside the block. What was
        written stays for the next run. Finish with ``commit_partial``.
        """
        self.has_grown = True
        stream = self._open_locked("partial", _partial_name(digest), cancel or CancelToken())
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
            have, expected = apart(seen, size)
            raise IntegrityError(
                f"downloaded {have} with digest {found}, expected {expected} with {digest}",
                where={"digest": str(digest)},
            )
        with explained(self.root / "partial" / _partial_name(digest)):
            os.fsync(stream.fileno())
        return self.adopt_partial(digest, size)

    def recall(self, namespace: str, key: str) -> bytes | None:
        """A remembered answer, or ``None``; marks it as used just now.

        An answer without a valid MAC is ignored.
        """
        if not self.is_own:
            return None
        name = self._answer_name(namespace, key)
        try:
            with open_folder(self.root, "seals", namespace) as folder:
                seal = read_file(name, folder)
                os.utime(name, dir_fd=folder, follow_symlinks=False)
            with open_folder(self.root, "answers", namespace) as folder:
                answer = read_file(name, folder)
                os.utime(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            return None
        return answer if hmac.compare_digest(seal, self._seal(namespace, name, answer)) else None

    def remember(self, namespace: str, key: str, answer: bytes) -> None:
        """Keep a small answer under ``key`` (any text that names all its inputs)."""
        if not self.is_own:
            return
        self.has_grown = True
        name = self._answer_name(namespace, key)
        with explained(self.root / "answers" / namespace / name):
            for kind, data in (("answers", answer), ("seals", self._seal(namespace, name, answer))):
                with open_folder(self.root, kind, namespace, make=True) as folder:
                    replace_file(name, folder, data)

    def forget(self, namespace: str, key: str) -> None:
        """Drop a remembered answer that cannot be used."""
        name = self._answer_name(namespace, key)
        self._unlink(name, "seals", namespace)
        self._unlink(name, "answers", namespace)

    @cached_property
    def owner(self) -> int:
        """The user who owns the store, or will own it."""
        try:
            return self.root.stat().st_uid
        except OSError:
            return os.geteuid()

    @property
    def is_own(self) -> bool:
        """Whether the store belongs to the user of this process."""
        return self.owner == os.geteuid()

    def working_folder(self) -> Path | None:
        """A folder for temporary folders: the store's; ``None``, the system's, if it is not ours.

        The owner of a folder can replace what is in it.
        """
        if not self.is_own:
            return None
        make_folders(self.root)
        return self.root

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """While the block runs, ``prune`` keeps everything used since it began."""
        name = os.urandom(12).hex()
        with self._open_locked("leases", name, CancelToken()):
            try:
                yield
            finally:
                self._unlink(name, "leases")

    def usage(self) -> Usage:
        """Count what is there."""
        blobs = [file.size for file in self._files("blobs")]
        answers = [file.size for file in self._files("answers")]
        partial = sum(file.size for file in self._files("partial"))
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
        kinds = ("blobs", "answers", "seals", "partial")
        self._remove_stray_uses()
        files = sorted(
            (file for kind in kinds for file in self._files(kind)), key=lambda file: file.used
        )
        total = sum(file.size for file in files)
        removed = removed_bytes = 0
        for file in files:
            if total - removed_bytes <= bound or file.used >= horizon:
                break
            if file.folder == ("partial",) and self._is_locked(file):
                continue
            if self._unlink_unused(file):
                removed += 1
                removed_bytes += file.size
        return Pruned(
            removed=removed, removed_bytes=removed_bytes, kept_bytes=total - removed_bytes
        )

    def _remove_stray_uses(self) -> None:
        there = {(*file.folder[1:], file.name) for file in self._files("blobs")}
        for file in self._files(_USES):
            if (*file.folder[1:], file.name) not in there:
                self._unlink(file.name, *file.folder)

    def verify(self, on_file: Callable[[int], None] | None = None) -> Damage:
        """Read everything again; what does not match its digest or MAC is removed."""
        blobs: list[Digest] = []
        for file in self._files("blobs"):
            if len(file.folder) == 2 and (digest := _digest_of(file)) is not None:
                if not self._is_sound(file, digest):
                    blobs.append(digest)
                    self.drop(digest)
                if on_file:
                    on_file(file.size)
        return Damage(blobs=tuple(blobs), answers=self._verify_answers())

    def _is_sound(self, file: _StoreFile, digest: Digest) -> bool:
        hasher = digest.hasher()
        try:
            with (
                open_folder(self.root, *file.folder) as folder,
                os.fdopen(open_file(file.name, folder, os.O_RDONLY), "rb") as stream,
            ):
                while chunk := stream.read(CHUNK):
                    hasher.update(chunk)
        except FileNotFoundError:
            return True  # removed meanwhile
        except OSError:
            return False
        return Digest.finished(hasher, digest.algorithm) == digest

    def _verify_answers(self) -> int:
        """Remove answers without a valid MAC by this user's key; returns their number."""
        removed = 0
        for file in self._files("answers"):
            namespace = file.folder[-1]
            try:
                with open_folder(self.root, "seals", namespace) as folder:
                    seal = read_file(file.name, folder)
                with open_folder(self.root, *file.folder) as folder:
                    valid = seal == self._seal(namespace, file.name, read_file(file.name, folder))
            except OSError:
                valid = False
            if not (valid and self.is_own):
                removed += 1
                self._unlink(file.name, "seals", namespace)
                self._unlink(file.name, *file.folder)
        return removed

    def clear(self) -> None:
        """Remove everything, even while other processes use it."""
        with explained(self.root, "remove"):
            if self.root.exists():
                above = os.open(self.root.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    remove_tree(above, os.fsencode(self.root.name))
                finally:
                    os.close(above)

    def _blob_path(self, digest: Digest) -> Path:
        return self.root / "blobs" / digest.algorithm / digest.hex

    @cached_property
    def _key(self) -> bytes:
        return self._find_key()

    def _answer_name(self, namespace: str, key: str) -> str:
        """Of other keys it is another name: users of one cache do not replace each other's."""
        return _mac(self._key, b"name", namespace.encode(), key.encode()).hex()

    def _seal(self, namespace: str, name: str, answer: bytes) -> bytes:
        return _mac(self._key, b"answer", namespace.encode(), name.encode(), answer)

    def _unlink(self, name: str, *folder: str) -> bool:
        try:
            with open_folder(self.root, *folder) as descriptor:
                os.unlink(name, dir_fd=descriptor)
        except OSError:
            return False
        return True

    def _unlink_unused(self, file: _StoreFile) -> bool:
        """Remove a file that was not used since it was listed, which takes a while."""
        try:
            with open_folder(self.root, *file.folder) as folder:
                if self._last_use(file.folder, file.name, folder) != file.used:
                    return False
                os.unlink(file.name, dir_fd=folder)
        except OSError:
            return False
        if file.folder[0] == "blobs":
            self._unlink(file.name, _USES, *file.folder[1:])
        return True

    def _last_use(self, place: tuple[str, ...], name: str, folder: int) -> float:
        """When a file was written or, if later, used."""
        written = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
        if place[0] == "blobs":
            with (
                contextlib.suppress(OSError),
                open_folder(self.root, _USES, *place[1:]) as uses,
            ):
                return max(written, os.stat(name, dir_fd=uses, follow_symlinks=False).st_mtime)
        return written

    def _files(self, kind: str) -> Iterator[_StoreFile]:
        """Every file below one of the store's folders; links are not followed."""
        try:
            with open_folder(self.root) as root:
                for place, _, names, folder in os.fwalk(kind, dir_fd=root):
                    parts = tuple(place.split("/"))
                    for name in names:
                        with contextlib.suppress(OSError):
                            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                            yield _StoreFile(
                                folder=parts, name=name, size=status.st_size,
                                used=self._last_use(parts, name, folder),
                            )  # fmt: skip
        except OSError:
            return

    def _oldest_live_lease(self) -> float:
        oldest = time.time()
        for file in self._files("leases"):
            if self._is_locked(file):
                oldest = min(oldest, file.used)
            else:  # its process is gone
                self._unlink(file.name, *file.folder)
        return oldest

    def _is_locked(self, file: _StoreFile) -> bool:
        try:
            with (
                open_folder(self.root, *file.folder) as folder,
                os.fdopen(open_file(file.name, folder, os.O_RDONLY), "rb") as stream,
            ):
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _open_locked(self, kind: str, name: str, cancel: CancelToken) -> BinaryIO:
        """Open a file for reading and appending, holding its lock until it is closed."""
        path = self.root / kind / name
        while True:
            with explained(path), open_folder(self.root, kind, make=True) as folder:
                stream = _open_appending(name, folder)
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
                if path.lstat().st_ino == os.fstat(stream.fileno()).st_ino:
                    return stream
            stream.close()


class _StoreFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a store: where it lies below the root, its size, when it was last used."""

    folder: tuple[str, ...]
    name: str
    size: int
    used: float


def _open_appending(name: str, folder: int) -> BinaryIO:
    """A regular file; a link or a pipe of that name is removed first."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    try:
        descriptor = open_file(name, folder, flags)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, None):
            raise
        os.unlink(name, dir_fd=folder)
        descriptor = open_file(name, folder, flags)
    return cast("BinaryIO", os.fdopen(descriptor, "a+b"))


def _digest_of(file: _StoreFile) -> Digest | None:
    """The digest in the file's name; ``None`` if it is not a file of the store."""
    try:
        return Digest.parse(f"{file.folder[-1]}:{file.name}")
    except UsageError:
        return None


def _partial_name(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"


def _mac(key: bytes, *parts: bytes) -> bytes:
    """Keyed BLAKE2b over parts of which none can be mistaken for its neighbour."""
    mac = hashlib.blake2b(key=key, digest_size=_MAC_SIZE)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.digest()


def _state(status: os.stat_result) -> tuple[int, int]:
    """The state changes if the file is replaced or written to."""
    return status.st_ino, status.st_mtime_ns
