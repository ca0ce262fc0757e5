"""The interface behind which every place of images lives: read one, write one.

Siblings: ``oci_layout``, ``oci_archive``, ``docker_archive``, ``docker_daemon``,
``containers_storage``, ``registry``. Each is made for one address; one suite
(tests/images/transports/test_every_transport.py) runs over all.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol, Self, runtime_checkable

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.address import Address
from homeport.images.image import Image, Index
from homeport.runtime import Runtime


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``write`` left at the destination.

    digest:  of the manifest or index that the address now leads to
    copied:  number and bytes of blobs that travelled
    present: number of blobs that were there before
    """

    address: Address
    digest: Digest
    copied: int = 0
    copied_bytes: int = 0
    present: int = 0

    @classmethod
    def whole(cls, address: Address, digest: Digest, parts: Mapping[Digest, Blob]) -> Self:
        """What was written anew, with everything in it."""
        size = sum(blob.size for blob in parts.values())
        return cls(address=address, digest=digest, copied=len(parts), copied_bytes=size)


class Source(Protocol):
    """A place that an image can be read from."""

    @property
    def address(self) -> Address: ...

    def open(self, runtime: Runtime) -> AbstractContextManager[Image | Index]:
        """The image at the address, usable inside the ``with`` block.

        Lazy: manifests are checked when they are opened, blobs when they are read. Changes
        nothing at the source; opening twice is opening two independent readers. What was
        spooled is removed when the block ends, however it ends. Raises ``ImageNotFound``,
        ``BadDocument``, ``IntegrityError``, ``Missing``, ``TooLarge``; with a place.
        """


class Destination(Protocol):
    """A place that an image can be written to."""

    @property
    def address(self) -> Address: ...

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        """Make the address lead to ``value``, bytes unchanged.

        Verified: size and digest of each blob are checked while it streams, and nothing
        stays at the destination under a digest that it does not have.
        Atomic: parts first, then the one step (a rename, a tag) after which the address
        leads to the new image; before it, it leads where it led. A crash or cancellation
        leaves at most unreferenced parts.
        Idempotent: writing the same value again changes nothing and sends no blob again.
        Concurrent writers of one place all succeed; of one address the last wins.
        """


@runtime_checkable
class NamedDestination(Protocol):
    """A destination that carries the name of an image with it, so that it has it after loading.

    name: of the source, a whole reference with a tag; used where the address gives no name
    """

    name: str


class Transport(Source, Destination, Protocol):
    """A place that can be both."""
