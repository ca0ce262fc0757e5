"""The address ``-``: an archive of either kind on standard input, an OCI one on output."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from homeport.errors import UsageError
from homeport.images.address import ArchiveAddress, StreamAddress
from homeport.images.image import Image, Index
from homeport.images.storage.archive_files import open_archive
from homeport.images.transports.base import Written
from homeport.images.transports.docker_archive import open_in_archive
from homeport.images.transports.oci_archive import OciArchive
from homeport.runtime import Runtime


class Stream:
    """The address ``-``: an archive of either kind from standard input, an OCI one to output."""

    def __init__(self, address: StreamAddress) -> None:
        self._address = address
        self.name = ""

    @property
    def address(self) -> StreamAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        with open_archive(None, runtime) as files:
            yield open_in_archive(files, ArchiveAddress(format="docker-archive", path=None))

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        if sys.stdout is not None and sys.stdout.buffer.isatty():
            raise UsageError(
                "the archive would be written to a terminal", hint="redirect it: > image.tar"
            )
        if sys.stdout.buffer.isatty():
            raise UsageError(
                "refused to write an image to a terminal",
                hint="redirect standard output: homeport pull ... - | podman load",
            )
        archive = OciArchive(ArchiveAddress(format="oci-archive", path=None))
        archive.name = self.name
        return archive.write(value, runtime)
