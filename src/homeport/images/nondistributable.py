"""Foreign layers: content that its owner hands out himself, at the ``urls`` of a descriptor.

Such layers ("non-distributable", Windows' base layers above all) stay where they are: a copy
keeps manifest and digest, and whoever pulls fetches them from their owner. Only who says so
takes them along: ``ForeignLayers.take``. They come from the place that the image is in, if
it holds them, else from their ``urls``: over https, without credentials, never from an
address inside a private network; size and digest are checked as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from homeport.content.blob import Blob
from homeport.errors import HomeportError
from homeport.images.image import Child, Image, Index, Missing, digest_of
from homeport.images.image_blobs import foreign_parts
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


class ForeignLayers(msgspec.Struct, frozen=True, kw_only=True):
    """Brings foreign layers along. ``take(value)`` is ``value`` with all of them as blobs."""

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
        for descriptor in image.parts():
            digest = digest_of(descriptor)
            here = image.foreign.get(digest)
            if here is not None:
                blobs.setdefault(
                    digest,
                    ForeignBlob(
                        here=here, descriptor=descriptor, client=self.client,
                        runtime=self.runtime,
                    ),
                )  # fmt: skip
        return msgspec.structs.replace(image, blobs=blobs)


def report_left_out(progress: Progress, value: Image | Index) -> Image | Index:
    """``value`` itself; its non-distributable layers are not copied, which ``progress`` is told."""
    left = foreign_parts(value)
    if left:
        many = "1 layer is" if len(left) == 1 else f"{len(left)} layers are"
        progress.note(
            "non-distributable layers",
            f"{many} not copied; clients download from {left[0].urls[0]}. "
            "Use --allow-nondistributable-artifacts to include non-distributable layers",
        )
    return value


class ForeignBlob(LazyBlob, frozen=True, kw_only=True):
    """A foreign layer, fetched when it is first opened. ``here`` asks the image's own place."""

    here: Callable[[], Blob]
    client: Client

    def fetch(self) -> Blob:
        """The content. Raises ``Missing``, which names the first URL, when nobody gives it."""
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
                label=f"foreign layer {self.digest.hex[:12]}",
            )  # fmt: skip
        except NetError as error:
            raise Missing(
                f"the foreign layer {self.digest} cannot be had from its owner: {error.what}",
                where={**error.where, "digest": str(self.digest)},
                hint=error.hint,
            ) from error


class ForeignUrlRefused(HomeportError):
    """A manifest names a URL for a layer that is not followed."""

    id = "foreign-url-refused"


def _allowed(text: str) -> Url:
    try:
        url = Url.parse(text)
    except BadUrl as error:
        raise ForeignUrlRefused("a foreign layer's URL is no URL", where={"url": text}) from error
    if url.scheme != "https":
        raise ForeignUrlRefused(
            f"a foreign layer is fetched over https only, and its manifest says {url}",
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
