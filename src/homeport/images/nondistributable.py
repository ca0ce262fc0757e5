"""Non-distributable layers: content that its owner serves at a descriptor's ``urls``.

A copy leaves such layers (Windows' base layers above all) at their owner's server: manifest and
digest stay as they are, and clients that pull download the layers from there.
``NonDistributableLayers.take`` includes them in a copy. They come from the place of the image, if
it has them, else from their ``urls``: over https, without credentials, never from an address
inside a private network; size and digest are verified as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from homeport.content.blob import Blob
from homeport.errors import HomeportError
from homeport.images.image import Child, Image, Index, Missing, digest_of
from homeport.images.image_blobs import nondistributable_left_out
from homeport.images.lazy_blob import LazyBlob
from homeport.net.address_class import AddressClass
from homeport.net.client import Client
from homeport.net.download import download
from homeport.net.errors import NetError
from homeport.net.response import Response, Sender
from homeport.net.url import BadUrl, Url
from homeport.progress import Progress
from homeport.runtime import Runtime

#: More of a descriptor's URLs are not tried.
URLS_LIMIT = 16
#: Stands for the manifest, which names the URLs: they are followed like a server's redirects.
_MANIFEST = Sender(url=Url.parse("https://manifest.invalid/"), address_class=AddressClass.PUBLIC)


class NonDistributableLayers(msgspec.Struct, frozen=True, kw_only=True):
    """Includes non-distributable layers. ``take(value)`` is ``value`` with all of them as blobs."""

    client: Client
    runtime: Runtime

    def take(self, value: Image | Index) -> Image | Index:
        """The same image, nothing fetched yet; its manifests and digests stay as they are."""
        if isinstance(value, Image):
            return self._image(value)
        return msgspec.structs.replace(value, children=tuple(map(self._child, value.children)))

    def _child(self, child: Child) -> Child:
        return msgspec.structs.replace(child, opener=lambda: self.take(child.open()))

    def _image(self, image: Image) -> Image:
        blobs = dict(image.blobs)
        for descriptor in image.content():
            digest = digest_of(descriptor)
            here = image.nondistributable.get(digest)
            if here is not None:
                blobs.setdefault(
                    digest,
                    NonDistributableBlob(
                        here=here, descriptor=descriptor, client=self.client,
                        runtime=self.runtime,
                    ),
                )  # fmt: skip
        return msgspec.structs.replace(image, blobs=blobs)


def report_left_out(progress: Progress, value: Image | Index) -> Image | Index:
    """``value`` itself; its non-distributable layers are not copied, which ``progress`` is told."""
    left = nondistributable_left_out(value)
    if left:
        many = "1 layer is" if len(left) == 1 else f"{len(left)} layers are"
        progress.note(
            "non-distributable layers",
            f"warning: {many} not copied; clients download from {left[0].urls[0]}. "
            "Use --allow-nondistributable-artifacts to include non-distributable layers",
        )
    return value


class NonDistributableBlob(LazyBlob, frozen=True, kw_only=True):
    """A non-distributable layer, fetched when it is opened. ``here``: from the image's place."""

    here: Callable[[], Blob]
    client: Client

    def fetch(self) -> Blob:
        """The content. Raises ``Missing`` with the first URL when no server has it."""
        found = self.runtime.store.get(self.digest, self.size)
        if found is not None:
            return found
        try:
            blob = self.here()
            blob.open().close()
        except Missing:
            return self._from_owner()
        return blob

    def _from_owner(self) -> Blob:
        try:
            return download(
                _Named(self.client),
                [_allowed(url) for url in self.descriptor.urls[:URLS_LIMIT]],
                digest=self.digest, size=self.size,
                store=self.runtime.store, progress=self.runtime.progress,
                label=f"non-distributable layer {self.digest.hex[:12]}",
            )  # fmt: skip
        except NetError as error:
            raise Missing(
                f"cannot fetch the non-distributable layer {self.digest}: {error.what}",
                where={**error.where, "digest": str(self.digest)},
                hint=error.hint,
            ) from error


class LayerUrlRejected(HomeportError):
    """A manifest names a URL for a layer that is not followed."""

    id = "layer-url-rejected"


def _allowed(text: str) -> Url:
    try:
        url = Url.parse(text)
    except BadUrl as error:
        raise LayerUrlRejected(
            "invalid URL of a non-distributable layer", where={"url": text}
        ) from error
    if url.scheme != "https":
        raise LayerUrlRejected(
            f"a non-distributable layer must have an https URL, not {url}",
            where={"url": str(url)},
        )
    return url


class _Named:
    """The client for URLs that a manifest names: guarded like redirects, no credentials."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.clock = client.clock
        self.retrier = client.retrier
        self.cancel = client.cancel

    def request(self, method: str, url: Url | str, **more: Any) -> Response:
        more["authorize"] = lambda _hop: None
        return self._client.request(method, url, named_by=_MANIFEST, **more)
