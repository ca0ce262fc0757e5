"""The transport ``oci-archive:``, an OCI image layout in a tar file.

Writing replaces the file: an archive holds one image. Compressed archives are read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from homeport.images.address import ArchiveAddress
from homeport.images.image import Image, Index
from homeport.images.image_blobs import all_blobs
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.archive_writer import write_layout_archive
from homeport.images.storage.files import BadLayout
from homeport.images.storage.layout import (
    INDEX_FILE,
    LAYOUT_FILE,
    REF_NAME,
    index_of_one,
    name_annotations,
    open_in_layout,
)
from homeport.images.transports.base import Written
from homeport.oci.reference import DEFAULT_TAG, parse_reference
from homeport.runtime import Runtime


class OciArchive:
    """One address ``oci-archive:FILE[:TAG]``, to be read or written."""

    def __init__(self, address: ArchiveAddress) -> None:
        self._address = address
        self.name = ""

    @property
    def address(self) -> ArchiveAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        with open_archive(self._address.path, runtime) as files:
            if files.size(LAYOUT_FILE) is None and files.size("manifest.json") is not None:
                raise BadLayout(
                    f"{files.place} is a docker archive, not an OCI archive",
                    where={"file": files.place},
                    hint=f"read it as docker-archive:{self._address.path or '-'}",
                )
            yield open_in_layout(files, self._address.tag, self._address.digest)

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        parts = all_blobs(value)
        annotations = {REF_NAME: self._address.tag or DEFAULT_TAG}
        if self.name and not self._address.tag:
            annotations = name_annotations(parse_reference(self.name))
        documents = {INDEX_FILE: index_of_one(value.descriptor(), annotations)}
        write_layout_archive(self._address.path, parts, documents, runtime)
        return Written.whole(self._address, value.digest, parts)
