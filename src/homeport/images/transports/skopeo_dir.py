"""The transport ``dir:``, skopeo's directory of one image (containers/image, "directory").

A file per part, named by its hexadecimal digest; ``manifest.json`` is the image or index, the
manifests that an index lists are ``HEX.manifest.json``. Writing replaces the image: the top
manifest is renamed into place last, then what the old image left is removed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import msgspec

from homeport.content.blob import Blob, BytesBlob
from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.images.address import DirAddress
from homeport.images.byte_progress import byte_progress
from homeport.images.image import Image, Index, digest_of, open_contents, walk
from homeport.images.image_blobs import blobs_of
from homeport.images.storage.files import BadLayout, DirectoryFiles, FilesBlob, read_small
from homeport.images.storage.layout_folder import LayoutFolder
from homeport.images.transports.base import Written
from homeport.oci.documents import MANIFEST_LIMIT, Descriptor
from homeport.runtime import Runtime

MANIFEST_FILE = "manifest.json"
VERSION_FILE = "version"
_VERSION = b"Directory Transport Version: 1.1\n"
#: What an older image of the directory may have left: parts, manifests, skopeo's signatures.
_OURS = re.compile(r"(sha512-)?[0-9a-f]{64,128}(\.manifest\.json)?|signature-[0-9]+")


class DirContents(msgspec.Struct, frozen=True):
    """The parts of the image in a directory (``image.Contents``)."""

    files: DirectoryFiles

    def manifest(self, descriptor: Descriptor) -> bytes:
        digest = digest_of(descriptor)
        name = f"{_name(digest)}.{MANIFEST_FILE}"
        with FilesBlob(self.files, name, digest, descriptor.size).open() as stream:
            return stream.read(MANIFEST_LIMIT + 1)

    def blob(self, descriptor: Descriptor) -> Blob:
        digest = digest_of(descriptor)
        return FilesBlob(self.files, _name(digest), digest, descriptor.size)


class SkopeoDir:
    """One address ``dir:PATH``, to be read or written."""

    def __init__(self, address: DirAddress) -> None:
        self._address = address

    @property
    def address(self) -> DirAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        files = DirectoryFiles(self._address.path)
        place = f"{files.place}/{MANIFEST_FILE}"
        if files.size(MANIFEST_FILE) is None:
            raise BadLayout(f"{files.place} has no {MANIFEST_FILE}", where={"file": place})
        raw = read_small(files, MANIFEST_FILE, MANIFEST_LIMIT, place)
        yield open_contents(DirContents(files), raw)

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        parts = _parts(value)
        known = KnownGoodFiles(runtime.store)
        total = sum(blob.size for blob in parts.values())
        with (
            LayoutFolder.opened(self._address.path) as folder,
            folder.locked(runtime.cancel),
            byte_progress(
                runtime, f"write {self._address}", f"Writing {self._address}", total
            ) as progress,
        ):
            _require_ours(folder)
            folder.remove_abandoned()
            folder.write(VERSION_FILE, _VERSION)
            missing = {}
            for name, blob in parts.items():
                if folder.holds(name, blob.digest, blob.size, known):
                    progress.skip(blob.size)
                else:
                    missing[name] = blob
            if missing:
                with folder.unfinished() as scratch:
                    for name, blob in missing.items():
                        folder.place(blob, name, scratch, progress)
            folder.write(MANIFEST_FILE, value.document.raw)
            for name in folder.names():
                if _OURS.fullmatch(name) and name not in parts:
                    folder.remove(name)
        return Written(
            address=self._address,
            digest=value.digest,
            copied=len(missing),
            copied_bytes=sum(blob.size for blob in missing.values()),
            present=len(parts) - len(missing),
        )


def _parts(value: Image | Index) -> dict[str, Blob]:
    """Every file but the top manifest, by its name. Opens every manifest."""
    nodes = list(walk(value))
    parts = {_name(digest): blob for digest, blob in blobs_of(nodes).items()}
    for node in nodes:
        if node.digest != value.digest:
            name = f"{_name(node.digest)}.{MANIFEST_FILE}"
            parts[name] = BytesBlob(node.document.raw, node.digest.algorithm)
    return parts


def _name(digest: Digest) -> str:
    """sha256 is the hexadecimal digest alone; others have their algorithm in front."""
    return digest.hex if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.hex}"


def _require_ours(folder: LayoutFolder) -> None:
    """Refuse a directory that holds something else, whose files would be mixed with the image."""
    names = {name for name in folder.names() if not name.startswith(".")}
    if names and VERSION_FILE not in names:
        raise BadLayout(
            f"{folder.root} is not a directory of an image and not empty: "
            "nothing was written there",
            where={"file": str(folder.root)},
            hint="choose a new directory",
        )
