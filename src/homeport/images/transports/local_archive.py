"""A path of an archive without a transport: of which kind it is, the archive tells."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from homeport.images.address import ArchiveAddress, FileAddress
from homeport.images.image import Image, Index
from homeport.images.storage.archive_files import open_archive
from homeport.images.transports.base import Written
from homeport.images.transports.docker_archive import open_in_archive
from homeport.runtime import Runtime


class LocalArchive:
    """One file, an OCI archive or a docker archive, to be read."""

    def __init__(self, address: FileAddress) -> None:
        self._address = address

    @property
    def address(self) -> FileAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        with open_archive(self._address.path, runtime) as files:
            yield open_in_archive(
                files, ArchiveAddress(format="docker-archive", path=self._address.path)
            )

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        raise AssertionError("parse_destination returns no FileAddress")
