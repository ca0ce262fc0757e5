"""The transport ``oci:``, an OCI image layout in a directory (image spec, "image-layout").

Writing adds to what is there: only the written tag changes. Blobs come first, each under
another name until it is whole and verified; ``index.json`` is renamed into place last, so
that a crash leaves the old image or the new one. A blob that is there with the right size
is taken for what its name says; ``trust_existing=False`` reads and verifies it again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from homeport.content.blob import Blob, FileBlob, verified
from homeport.content.digest import Digest
from homeport.content.files import explained, sync_directory
from homeport.content.reading import CHUNK
from homeport.errors import IntegrityError
from homeport.images.address import LayoutAddress
from homeport.images.byte_progress import ByteProgress, byte_progress
from homeport.images.image import Image, Index
from homeport.images.image_blobs import all_blobs
from homeport.images.storage.blob_files import place_file
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
from homeport.images.storage.temp_space import (
    locked_directory,
    remove_abandoned,
    unfinished_folder,
    write_unfinished_first,
)
from homeport.images.transports.base import Written
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.oci.reference import DEFAULT_TAG
from homeport.runtime import Runtime


class OciLayout:
    """One address ``oci:DIR[:TAG]``, to be read or written."""

    def __init__(self, address: LayoutAddress, *, trust_existing: bool = True) -> None:
        self._address = address
        self._trust_existing = trust_existing

    @property
    def address(self) -> LayoutAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        files = DirectoryFiles(self._address.path)
        yield open_in_layout(files, self._address.tag, self._address.digest)

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        root = self._address.path
        prepare_layout(root)
        written = self._write_blobs(value, runtime)
        with locked_directory(root, runtime.cancel):
            point_tag(root, self._address.tag or DEFAULT_TAG, value.descriptor())
        return written

    def write_referrer(self, value: Image, runtime: Runtime) -> None:
        """Add an artifact that refers to another image, as a line without a tag. Idempotent."""
        root, parsed = self._address.path, value.document.parsed
        assert parsed.subject is not None
        prepare_layout(root)
        self._write_blobs(value, runtime)
        annotations = {**parsed.annotations, SUBJECT_ANNOTATION: parsed.subject.digest}
        with locked_directory(root, runtime.cancel):
            add_line(root, msgspec.structs.replace(value.descriptor(), annotations=annotations))

    def _write_blobs(self, value: Image | Index, runtime: Runtime) -> Written:
        parts = all_blobs(value)
        total = sum(blob.size for blob in parts.values())
        missing = {}
        with byte_progress(
            runtime, f"write {self._address}", f"Writing {self._address}", total
        ) as progress:
            for digest, blob in parts.items():
                if self._is_present(digest, blob):
                    progress.skip(blob.size)
                else:
                    missing[digest] = blob
            self._place(missing, progress)
        return Written(
            address=self._address,
            digest=value.digest,
            copied=len(missing),
            copied_bytes=sum(blob.size for blob in missing.values()),
            present=len(parts) - len(missing),
        )

    def _is_present(self, digest: Digest, blob: Blob) -> bool:
        path = self._address.path / blob_name(digest)
        try:
            found = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISREG(found.st_mode) or found.st_size != blob.size:
            return False
        return self._trust_existing or _is_intact(path, digest, blob.size)

    def _place(self, missing: dict[Digest, Blob], progress: ByteProgress) -> None:
        if not missing:
            return
        root = self._address.path
        folders = {root / "blobs" / digest.algorithm for digest in missing}
        for folder in folders:
            _require_folder(folder)
        with unfinished_folder(root) as scratch:
            for digest, blob in missing.items():
                place_file(blob, root / blob_name(digest), scratch, progress)
        for folder in folders:
            sync_directory(folder)


def prepare_layout(root: Path) -> None:
    """Make ``root`` a layout, or find that it is one. Raises ``BadLayout``, ``CannotWrite``."""
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
        names = [name for name in os.listdir(root) if not name.startswith(".")]
    if LAYOUT_FILE not in names:
        others = set(names) - {"blobs"}
        if others and not (root / LAYOUT_FILE).exists():  # unless another writer just made it
            raise BadLayout(
                f"{root} is not an OCI image layout and not empty: nothing was written there",
                where={"file": str(root)},
                hint="choose a new directory",
            )
        write_unfinished_first(root / LAYOUT_FILE, LAYOUT_VERSION)
    check_version(DirectoryFiles(root))
    _require_folder(root / "blobs")
    remove_abandoned(root)


def _require_folder(folder: Path) -> None:
    """A folder of the layout, not a link that leads out of it."""
    with explained(folder):
        folder.mkdir(exist_ok=True)
        is_folder = stat.S_ISDIR(os.lstat(folder).st_mode)
    if not is_folder:
        raise BadLayout(f"{folder} is a link: nothing was written there")


def point_tag(root: Path, tag: str, descriptor: Descriptor) -> None:
    """Make ``tag`` lead to ``descriptor``; every other line of ``index.json`` stays as it is."""
    annotations = {**descriptor.annotations, REF_NAME: tag}
    entry = msgspec.to_builtins(msgspec.structs.replace(descriptor, annotations=annotations))
    index = _load(root)
    others = [_tag_of(line) != tag for line in index["manifests"]]
    position = others.index(False) if False in others else len(others)
    lines = [line for line, other in zip(index["manifests"], others, strict=True) if other]
    lines.insert(position, entry)
    if lines == index["manifests"]:
        return
    index["manifests"] = lines
    write_unfinished_first(root / INDEX_FILE, msgspec.json.encode(index))


def add_line(root: Path, descriptor: Descriptor) -> None:
    """Add a line without a tag to ``index.json``, unless its digest is there already."""
    index = _load(root)
    if any(line.get("digest") == descriptor.digest for line in index["manifests"]):
        return
    index["manifests"] = [*index["manifests"], msgspec.to_builtins(descriptor)]
    write_unfinished_first(root / INDEX_FILE, msgspec.json.encode(index))


def _load(root: Path) -> dict[str, Any]:
    """``index.json`` with whatever fields it has, so that they can be written back."""
    files = DirectoryFiles(root)
    if files.size(INDEX_FILE) is None:
        return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    raw, _ = read_index(files)
    index: dict[str, Any] = msgspec.json.decode(raw)
    index["manifests"] = index.get("manifests") or []
    return index


def _tag_of(line: Any) -> Any:
    return (line.get("annotations") or {}).get(REF_NAME)


def _is_intact(path: Path, digest: Digest, size: int) -> bool:
    try:
        with verified(FileBlob(path, digest, size)) as stream:
            while stream.read(CHUNK):
                pass
    except IntegrityError:
        return False
    return True
