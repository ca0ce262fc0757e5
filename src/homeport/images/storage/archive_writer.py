"""Writing a layout as a tar archive: the same image is the same archive, byte for byte.

Members in the order of a Tree, owner 0:0, times 0. Blobs are verified while they are
written. Not for what an archive's documents say (``oci_archive``, ``docker_archive``).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.files import atomic_write, explained
from homeport.images.byte_progress import ByteProgress, byte_progress
from homeport.images.storage.layout import LAYOUT_FILE, LAYOUT_VERSION, blob_name
from homeport.runtime import Runtime
from homeport.tree.node import Node, Source, Tree
from homeport.tree.tar_writer import END, entries, write_tar

_SOURCE = Source(kind="image", name="archive")


def write_layout_archive(
    path: Path | None,
    parts: Mapping[Digest, Blob],
    documents: Mapping[str, bytes],
    runtime: Runtime,
) -> None:
    """Write ``parts`` and the files ``documents`` to ``path`` (``None``: standard output).

    A file is replaced when the archive is whole. Raises ``IntegrityError``, ``CannotWrite``.
    """
    tree = Tree()
    for name, data in {LAYOUT_FILE: LAYOUT_VERSION, **documents}.items():
        _add(tree, name, BytesBlob(data))
    for digest, blob in parts.items():
        _add(tree, blob_name(digest), blob)
    place = "-" if path is None else str(path)
    with (
        byte_progress(
            runtime, f"write archive {place}", f"Writing {place}", _size(tree)
        ) as progress,
        _output(path) as stream,
    ):
        write_tar(tree, _counting(stream, path, progress), runtime.cancel)


def _size(tree: Tree) -> int:
    """Bytes of the whole archive."""
    sizes = (
        len(entry.header) + (entry.content.size if entry.content else 0) + entry.padding
        for entry in entries(tree)
    )
    return sum(sizes) + len(END)


def _add(tree: Tree, name: str, blob: Blob) -> None:
    path = name.encode()
    parent = path.rpartition(b"/")[0]
    while parent and parent not in tree:
        tree[parent] = Node(type="directory", mode=0o755, source=_SOURCE)
        parent = parent.rpartition(b"/")[0]
    tree[path] = Node(type="file", mode=0o644, content=blob, source=_SOURCE)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    if path is not None:
        with atomic_write(path) as stream:
            yield stream
        return
    yield sys.stdout.buffer
    with explained(Path("standard output")):
        sys.stdout.buffer.flush()


def _counting(
    stream: BinaryIO, path: Path | None, progress: ByteProgress
) -> Callable[[bytes], None]:
    place = path or Path("standard output")

    def write(data: bytes) -> None:
        with explained(place):
            stream.write(data)
        progress.advance(len(data))

    return write
