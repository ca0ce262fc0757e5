"""Dropping what no line of a layout's ``index.json`` leads to.

A layout that is built into every day keeps the blobs of yesterday. What a line leads to is found
without understanding documents: every digest that stands in a small JSON blob is followed, so that
what referrers, artifacts and documents of unknown kinds name stays. Writers of Homeport are waited
for; other tools must not write at the same time.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from homeport.images.storage.files import BadLayout, DirectoryFiles
from homeport.images.storage.layout import check_version, read_index
from homeport.images.storage.layout_folder import LayoutFolder
from homeport.oci.documents import MANIFEST_LIMIT
from homeport.progress import CancelToken

_DIGEST = re.compile(rb"\b(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\b")
_START = 512  # bytes that tell a document from a layer
_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")


class GarbageCollected(msgspec.Struct, frozen=True, kw_only=True):
    """What was dropped, or would be, and what is still there."""

    removed: int
    removed_bytes: int
    kept: int


def unused_bytes(folder: LayoutFolder) -> tuple[int, int]:
    """The sizes of the blobs that nothing leads to, and of all the others."""
    reachable = _reachable(folder.files, read_index(folder.files)[0])
    unused = used = 0
    for name, size in _blobs(folder):
        if name in reachable:
            used += size
        else:
            unused += size
    return unused, used


def collect_garbage(root: Path, cancel: CancelToken, *, dry_run: bool = False) -> GarbageCollected:
    """Remove the blobs of the layout ``root`` that nothing leads to. Raises ``BadLayout``."""
    check_version(DirectoryFiles(root))
    with LayoutFolder.opened(root) as folder, folder.blobs_locked(cancel, exclusive=True):
        raw, _ = read_index(folder.files)
        reachable = _reachable(folder.files, raw)
        garbage = {name: size for name, size in _blobs(folder) if name not in reachable}
        kept = sum(1 for _ in _blobs(folder)) - len(garbage)
        for name in garbage if not dry_run else ():
            cancel.check()
            folder.remove(name)
    return GarbageCollected(removed=len(garbage), removed_bytes=sum(garbage.values()), kept=kept)


def _reachable(files: DirectoryFiles, index: bytes) -> set[str]:
    """The names of all blobs that ``index.json`` names, or that one of them names."""
    found: set[str] = set()
    todo = [index]
    while todo:
        for digest in _DIGEST.findall(todo.pop()):
            name = f"blobs/{digest.decode().replace(':', '/')}"
            if name not in found:
                found.add(name)
                todo += _document(files, name)
    return found


def _document(files: DirectoryFiles, name: str) -> list[bytes]:
    """A blob that may be a document."""
    size = files.size(name)
    if size is None or size > MANIFEST_LIMIT:
        return []
    with files.open(name) as stream:
        start = stream.read(_START)
        if start.lstrip()[:1] not in (b"{", b"["):
            return []
        return [start + stream.read()]


def _blobs(folder: LayoutFolder) -> Iterator[tuple[str, int]]:
    """Every blob with its size; files with other names are left alone."""
    for algorithm in ("sha256", "sha512"):
        for name in folder.names(f"blobs/{algorithm}"):
            if _BLOB.fullmatch(name):
                path = f"blobs/{algorithm}/{name}"
                with contextlib.suppress(BadLayout, OSError):
                    yield path, folder.files.size(path) or 0
