"""The transport ``oci:``, an OCI image layout in a directory (image spec, "image-layout").

Writing adds to what is there: only the written tag changes. Blobs come first, each under
another name until it is whole and verified; ``index.json`` is renamed into place last, so
that a crash leaves the old image or the new one. A blob that is there is read and verified, and
written again if it is not what its name says.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.images.address import LayoutAddress
from homeport.images.byte_progress import byte_progress
from homeport.images.garbage import unused_bytes
from homeport.images.image import Image, Index
from homeport.images.image_blobs import all_blobs
from homeport.images.storage.files import BadLayout, DirectoryFiles
from homeport.images.storage.layout import (
    INDEX_FILE,
    LAYOUT_FILE,
    LAYOUT_VERSION,
    REF_NAME,
    SUBJECT_ANNOTATION,
    blob_name,
    check_version,
    open_in_layout,
    read_index,
)
from homeport.images.storage.layout_folder import LayoutFolder
from homeport.images.transports.base import Written
from homeport.oci import documents, media_types
from homeport.oci.documents import Descriptor
from homeport.oci.reference import DEFAULT_TAG
from homeport.progress import CancelToken
from homeport.quantities import human_size
from homeport.runtime import Runtime

#: Garbage of at least so many bytes, and more than what is in use, is worth a word.
WORTH_COLLECTING = 10_000_000


class OciLayout:
    """One address ``oci:DIR[:TAG]``, to be read or written."""

    def __init__(self, address: LayoutAddress) -> None:
        self._address = address

    @property
    def address(self) -> LayoutAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        files = DirectoryFiles(self._address.path)
        yield open_in_layout(files, self._address.tag, self._address.digest)

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        with (
            open_layout(self._address.path) as folder,
            folder.blobs_locked(runtime.cancel),
        ):
            written = self._write_blobs(folder, value, runtime)
            with folder.locked(runtime.cancel):
                moved = point_tag(folder, self._address.tag or DEFAULT_TAG, value.descriptor())
            if moved:
                _tell_of_garbage(folder, runtime)
        return written

    def write_referrer(self, value: Image, runtime: Runtime) -> None:
        """Add an artifact that refers to another image, as a line without a tag. Idempotent."""
        line = referrer_line(value)
        with (
            open_layout(self._address.path) as folder,
            folder.blobs_locked(runtime.cancel),
        ):
            self._write_blobs(folder, value, runtime)
            with folder.locked(runtime.cancel):
                add_line(folder, line)

    def _write_blobs(self, folder: LayoutFolder, value: Image | Index, runtime: Runtime) -> Written:
        known = KnownGoodFiles(runtime.store)
        parts = all_blobs(value)
        total = sum(blob.size for blob in parts.values())
        missing = {}
        with byte_progress(
            runtime, f"write {self._address}", f"Writing {self._address}", total
        ) as progress:
            for digest, blob in parts.items():
                if folder.holds(blob_name(digest), digest, blob.size, known):
                    progress.skip(blob.size)
                else:
                    missing[digest] = blob
            if missing:
                with folder.unfinished() as scratch:
                    for digest, blob in missing.items():
                        folder.place(blob, blob_name(digest), scratch, progress)
        return Written(
            address=self._address,
            digest=value.digest,
            copied=len(missing),
            copied_bytes=sum(blob.size for blob in missing.values()),
            present=len(parts) - len(missing),
        )


@contextlib.contextmanager
def open_layout(root: Path) -> Iterator[LayoutFolder]:
    """``root`` as a layout to write to, made one if it is empty.

    Raises ``BadLayout``, ``CannotWrite``.
    """
    with LayoutFolder.opened(root) as folder:
        names = {name for name in folder.names() if not name.startswith(".")}
        if LAYOUT_FILE not in names:
            # Unless another writer just made it one.
            if names - {"blobs"} and folder.files.size(LAYOUT_FILE) is None:
                raise BadLayout(
                    f"{root} is not an OCI image layout and not empty: nothing was written there",
                    where={"file": str(root)},
                    hint="choose a new directory",
                )
            folder.write(LAYOUT_FILE, LAYOUT_VERSION)
        check_version(folder.files)
        with folder.folder("blobs"):
            pass
        folder.remove_abandoned()
        yield folder


def set_tag(root: Path, tag: str, descriptor: Descriptor, cancel: CancelToken) -> None:
    """Make ``tag`` of the layout ``root`` lead to content that is there."""
    with open_layout(root) as folder, folder.locked(cancel):
        point_tag(folder, tag, descriptor)


def referrer_line(value: Image) -> Descriptor:
    """The line of ``index.json`` for an artifact that refers to another image."""
    parsed = value.document.parsed
    assert parsed.subject is not None
    annotations = {**parsed.annotations, SUBJECT_ANNOTATION: parsed.subject.digest}
    return msgspec.structs.replace(value.descriptor(), annotations=annotations)


def _tell_of_garbage(folder: LayoutFolder, runtime: Runtime) -> None:
    """Say when most of a layout is what earlier images of its tags left."""
    unused, used = unused_bytes(folder)
    if unused > max(used, WORTH_COLLECTING):
        runtime.progress.note(
            "layout",
            f"{folder.root} holds {human_size(unused)} that no tag leads to, beside "
            f"{human_size(used)} that are in use; to remove them: "
            f"homeport gc {shlex.quote(str(folder.root))}",
        )


def point_tag(folder: LayoutFolder, tag: str, descriptor: Descriptor) -> bool:
    """Make ``tag`` lead to ``descriptor``; every other line of ``index.json`` stays as it is.

    Whether the tag led to something else before.
    """
    annotations = {**descriptor.annotations, REF_NAME: tag}
    entry = msgspec.to_builtins(msgspec.structs.replace(descriptor, annotations=annotations))
    index = _load(folder)
    others = [_tag_of(line) != tag for line in index["manifests"]]
    position = others.index(False) if False in others else len(others)
    lines = [line for line, other in zip(index["manifests"], others, strict=True) if other]
    lines.insert(position, entry)
    if lines == index["manifests"]:
        return False
    moved = False in others
    index["manifests"] = lines
    folder.write(INDEX_FILE, msgspec.json.encode(index))
    return moved


def add_line(folder: LayoutFolder, descriptor: Descriptor) -> None:
    """Add a line without a tag to ``index.json``, unless its digest is there already."""
    index = _load(folder)
    if any(line.get("digest") == descriptor.digest for line in index["manifests"]):
        return
    index["manifests"] = [*index["manifests"], msgspec.to_builtins(descriptor)]
    folder.write(INDEX_FILE, msgspec.json.encode(index))


def remove_lines(
    root: Path, tag: str, digest: Digest | None, cancel: CancelToken
) -> tuple[documents.Index, documents.Index]:
    """Remove the lines of a tag, or of a digest, from ``index.json``; its state before and after.

    Every other line stays as it is. Raises ``BadLayout``.
    """
    check_version(DirectoryFiles(root))
    with LayoutFolder.opened(root) as folder, folder.locked(cancel):
        before = read_index(folder.files)[1]
        index = _load(folder)
        lines = [
            line
            for line in index["manifests"]
            if not (line.get("digest") == str(digest) if digest else _tag_of(line) == tag)
        ]
        if lines == index["manifests"]:
            return before, before
        index["manifests"] = lines
        folder.write(INDEX_FILE, msgspec.json.encode(index))
        return before, read_index(folder.files)[1]


def _load(folder: LayoutFolder) -> dict[str, Any]:
    """``index.json`` with whatever fields it has, so that they can be written back."""
    files = folder.files
    if files.size(INDEX_FILE) is None:
        return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    raw, _ = read_index(files)
    index: dict[str, Any] = msgspec.json.decode(raw)
    index["manifests"] = index.get("manifests") or []
    return index


def _tag_of(line: Any) -> Any:
    return (line.get("annotations") or {}).get(REF_NAME)
