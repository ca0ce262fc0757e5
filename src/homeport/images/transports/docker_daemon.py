"""The source ``docker-daemon:``: an image of a running docker, through ``docker save``'s API.

The archive that the daemon sends is spooled, then read like any other
(``docker_archive``). Writing to a daemon is ``images.load``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import cast
from urllib.parse import quote

from homeport.content.reading import Readable
from homeport.images.address import ArchiveAddress, EngineAddress
from homeport.images.image import Image, Index
from homeport.images.storage.archive_files import open_stream
from homeport.images.transports.docker_api import request
from homeport.images.transports.docker_archive import open_in_archive
from homeport.runtime import Runtime


class DockerDaemon:
    """One address ``docker-daemon:REF``."""

    def __init__(self, address: EngineAddress) -> None:
        self._address = address

    @property
    def address(self) -> EngineAddress:
        return self._address

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        path = f"/images/{quote(self._address.name, safe='/:@')}/get"
        with (
            request("GET", path) as response,
            open_stream(cast("Readable", response), str(self._address), runtime) as files,
        ):
            yield open_in_archive(files, ArchiveAddress(format="docker-archive", path=None))
