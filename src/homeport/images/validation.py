"""Checking that an image is whole: every document, blob and layer is what its digest says.

All faults are found in one pass, not only the first. Not for who made the image
(``attest``) nor for what is in it (``inspection``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from homeport.content.blob import Blob, verified
from homeport.content.digest import Digest
from homeport.content.reading import CHUNK
from homeport.errors import HomeportError, Interrupted, TooLarge
from homeport.images.address import parse_source
from homeport.images.image import COUNT_LIMIT, Image, Index, Missing, digest_of
from homeport.images.reading import ReadAccess, opened
from homeport.images.transports.registry import RemoteBlob
from homeport.layers.listing import Hashed, list_layer
from homeport.oci import media_types
from homeport.quantities import counted
from homeport.runtime import Runtime


class ImageFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong.

    digest: of the document or blob that it is about
    """

    digest: str
    what: str


class Validated(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a validation.

    images, blobs, size: what was checked; blobs are configs and layers, each once
    fast:                blobs were only looked for, not read
    left_out:            non-distributable layers that are elsewhere
    """

    address: str
    digest: str
    images: int
    blobs: int
    size: int
    fast: bool
    left_out: int
    faults: tuple[ImageFault, ...]

    @property
    def valid(self) -> bool:
        return not self.faults


def validate(address: str, access: ReadAccess, *, fast: bool = False) -> Validated:
    """Check everything that an address leads to; what is wrong is part of the result.

    fast: only look whether each blob is there with its size
    """
    with opened(parse_source(address), access) as value:
        check = _Check(access.runtime, fast=fast)
        check.node(value)
        return Validated(
            address=address, digest=str(value.digest), images=check.images,
            blobs=len(check.seen), size=sum(check.seen.values()), fast=fast,
            left_out=check.left_out, faults=tuple(check.faults),
        )  # fmt: skip


class _Check:
    def __init__(self, runtime: Runtime, *, fast: bool) -> None:
        self._runtime = runtime
        self._fast = fast
        self._nodes: set[Digest] = set()
        self._layers: dict[Digest, str] = {}
        self.images = 0
        self.left_out = 0
        self.seen: dict[Digest, int] = {}
        self.faults: list[ImageFault] = []

    def node(self, value: Image | Index) -> None:
        if value.digest in self._nodes:
            return
        self._nodes.add(value.digest)
        if len(self._nodes) > COUNT_LIMIT:
            raise TooLarge(f"the index holds more than {COUNT_LIMIT} manifests")
        for text in value.document.ambiguities():
            self._fault(value.digest, f"readers understand its keys differently: {text}")
        if isinstance(value, Image):
            self._image(value)
            return
        for child in value.children:
            found: Image | Index | None = None
            with self._noting(child.descriptor.digest):
                found = child.open()
            if found is not None:
                self.node(found)

    def _image(self, image: Image) -> None:
        self.images += 1
        diff_ids = self._diff_ids(image)
        for number, descriptor in enumerate(image.document.parsed.content):
            digest = digest_of(descriptor)
            blob = image.blobs.get(digest)
            if blob is None:
                self.left_out += 1
            elif digest not in self.seen:
                self.seen[digest] = descriptor.size
                unpack = number > 0 and diff_ids and descriptor.media_type in media_types.LAYERS
                self._blob(blob, unpack=bool(unpack))
        for descriptor, diff_id in zip(image.document.parsed.layers, diff_ids, strict=False):
            found = self._layers.get(digest_of(descriptor))
            if found is not None and diff_id.startswith("sha256:") and found != diff_id:
                self._fault(
                    descriptor.digest, f"the layer unpacks to {found}, the config lists {diff_id}"
                )

    def _diff_ids(self, image: Image) -> tuple[str, ...]:
        """What the config lists for the layers; empty for an artifact or a faulty config."""
        config = None
        with self._noting(image.document.parsed.config.digest):
            config = image.config()
        if config is None:
            return ()
        found = config.parsed.rootfs.diff_ids
        if len(found) == len(image.document.parsed.layers):
            return found
        layers = counted(len(image.document.parsed.layers), "layer")
        self._fault(
            image.digest, f"{layers}, but the config lists {counted(len(found), 'diff_id')}"
        )
        return ()

    def _blob(self, blob: Blob, *, unpack: bool) -> None:
        with self._noting(blob.digest):
            if self._fast:
                _look_for(blob)
            elif unpack:
                listing = list_layer(blob, Hashed(), self._runtime.cancel)
                self._layers[blob.digest] = listing.diff_id
            else:
                with verified(blob) as stream:
                    while stream.read(CHUNK):
                        self._runtime.cancel.check()

    @contextlib.contextmanager
    def _noting(self, digest: Digest | str) -> Iterator[None]:
        """An error inside the block is a fault of ``digest``."""
        try:
            yield
        except Interrupted:
            raise
        except HomeportError as error:
            self._fault(digest, error.what)

    def _fault(self, digest: Digest | str, what: str) -> None:
        self.faults.append(ImageFault(digest=str(digest), what=what))


def _look_for(blob: Blob) -> None:
    """Raise ``Missing`` or ``IntegrityError`` if the blob is not there with its size."""
    if not isinstance(blob, RemoteBlob):
        blob.open().close()
    elif not blob.repository.has_blob(blob.digest, blob.size):
        raise Missing(f"{blob.repository} lacks {blob.digest}")
