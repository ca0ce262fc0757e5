"""What reads and writes the signatures of an address: registries and OCI layouts have them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from homeport.attest.attached.base import Attached
from homeport.attest.attached.layout import LayoutAttached
from homeport.attest.attached.registry import RegistryAttached
from homeport.errors import UsageError
from homeport.images.address import (
    Address,
    ArchiveAddress,
    FileAddress,
    LayoutAddress,
    RegistryAddress,
)
from homeport.images.image import Image, Index
from homeport.images.storage.archive_files import ArchiveFiles, open_archive
from homeport.images.storage.layout import INDEX_FILE, LAYOUT_FILE, open_in_layout
from homeport.images.transports.docker_archive import open_in_archive
from homeport.images.transports.oci_layout import OciLayout
from homeport.images.transports.registry import RegistryTransport
from homeport.runtime import Runtime

RegistryMaker = Callable[[RegistryAddress], RegistryTransport]


class NoPlaceForSignatures(UsageError):
    """An address of an image beside which nothing can be attached to it."""

    id = "no-place-for-signatures"


@contextmanager
def open_attached(
    address: Address, registry: RegistryMaker, runtime: Runtime, *, archives: bool = False
) -> Iterator[tuple[Image | Index, Attached]]:
    """The image at an address and what is attached to it. Raises ``NoPlaceForSignatures``.

    archives: also OCI archives, where what is attached can only be read
    """
    if isinstance(address, RegistryAddress):
        transport = registry(address)
        with transport.open(runtime) as value:
            yield value, RegistryAttached(transport, runtime)
    elif isinstance(address, LayoutAddress):
        with OciLayout(address).open(runtime) as value:
            yield value, LayoutAttached(address, runtime)
    elif archives and isinstance(address, ArchiveAddress | FileAddress) and address.path:
        with open_archive(address.path, runtime) as files:
            if files.size(LAYOUT_FILE) is None or files.size(INDEX_FILE) is None:
                raise _no_place(address)
            layout = LayoutAddress(path=address.path)
            yield _in_archive(files, address), LayoutAttached(layout, runtime, files)
    else:
        raise _no_place(address)


def _in_archive(files: ArchiveFiles, address: ArchiveAddress | FileAddress) -> Image | Index:
    if isinstance(address, FileAddress):
        address = ArchiveAddress(format="docker-archive", path=address.path)
    if address.format == "docker-archive":
        return open_in_archive(files, address)
    return open_in_layout(files, address.tag, address.digest)


def _no_place(address: Address) -> NoPlaceForSignatures:
    return NoPlaceForSignatures(
        f"{address}: signatures are kept in registries and OCI layouts only",
        hint=f"homeport pull {shlex.quote(str(address))} oci:DIR",
    )


def attached_at(address: Address, registry: RegistryMaker, runtime: Runtime) -> Attached | None:
    """What writes beside an image that was written to ``address``; ``None`` for archives."""
    if isinstance(address, RegistryAddress):
        return RegistryAttached(registry(address), runtime)
    if isinstance(address, LayoutAddress):
        return LayoutAttached(address, runtime)
    return None
