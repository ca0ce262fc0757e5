"""Layers entry by entry, and images of them opened for inspection.

opened(layer(file("etc/a", b"x")), layer(whiteout("etc/a")))
"""

from __future__ import annotations

import io
import tarfile
from typing import Any

from builders.images import Layer, image
from builders.runtime import runtime
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.images.image import Image
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.layers.history import History
from homeport.layers.listing import Hashed, Listing, list_layer
from homeport.layers.overlay import stack
from homeport.oci.documents import RunConfig
from homeport.progress import CancelToken

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **more: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode = kind, len(data), 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def file(name: str, data: bytes = b"x", **more: Any) -> Member:
    return member(name, data=data, **more)


def directory(name: str, **more: Any) -> Member:
    return member(name, tarfile.DIRTYPE, **{"mode": 0o755, **more})


def symlink(name: str, target: str, **more: Any) -> Member:
    return member(name, tarfile.SYMTYPE, linkname=target, **more)


def hardlink(name: str, target: str, **more: Any) -> Member:
    return member(name, tarfile.LNKTYPE, linkname=target, **more)


def whiteout(path: str) -> Member:
    parent, _, name = path.rpartition("/")
    return file((parent + "/" if parent else "") + ".wh." + name, b"")


def opaque(folder: str) -> Member:
    return file(f"{folder}/.wh..wh..opq", b"")


def tar(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
    ) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def layer(*members: Member, codec: str = "gzip") -> Layer:
    import gzip

    import zstandard

    from homeport.oci import media_types

    plain = tar(*members)
    if codec == "gzip":
        return Layer(gzip.compress(plain, mtime=0), plain)
    if codec == "zstd":
        return Layer(zstandard.ZstdCompressor().compress(plain), plain, media_types.OCI_LAYER_ZSTD)
    return Layer(plain, plain, media_types.OCI_LAYER)


def opened(
    *layers: Layer, store: Store | None = None, config: RunConfig | None = None
) -> OpenedImage:
    return open_layers(made(*layers, config=config), runtime(store))


def made(*layers: Layer, config: RunConfig | None = None, platform: str = "linux/amd64") -> Image:
    return image(platform, list(layers), config=config)


def listing(one: Layer) -> Listing:
    return list_layer(BytesBlob(one.data), Hashed(), CancelToken())


def history(*layers: Layer) -> History:
    return stack([listing(one) for one in layers])


def did(found: History) -> list[dict[str, str]]:
    """Per layer: path → what happened to it."""
    return [{c.path.decode(): c.action for c in changes} for changes in found.changes]
