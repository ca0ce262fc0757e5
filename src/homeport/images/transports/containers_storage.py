"""The source ``containers-storage:``: an image of podman's storage, through ``podman save``.

Podman keeps layers unpacked and compresses them anew for every archive; the uncompressed
ones of its docker format are the same each time, so Homeport asks for that format.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from homeport.images.address import ArchiveAddress, EngineAddress
from homeport.images.image import Image, Index
from homeport.images.storage.archive_files import ArchiveFiles, spooled
from homeport.images.transports.docker_archive import open_in_archive
from homeport.images.transports.podman import podman_output
from homeport.runtime import Runtime


class ContainersStorage:
    """One address ``containers-storage:REF``."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address

    @property
    def address(self) -> EngineAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        arguments = ["save", "--quiet", "--format", "docker-archive", "--", self._address.name]
        with contextlib.ExitStack() as stack:
            # The program's failure is raised before its half of an archive is looked at.
            with podman_output(arguments) as output:
                spool = stack.enter_context(spooled(output, str(self._address), runtime))
            files = ArchiveFiles(spool, str(self._address))
            yield open_in_archive(files, ArchiveAddress(format="docker-archive", path=None))
