"""Images of ours as build inputs: the part of containerd's content API that engines read.

An image in a layout or archive is offered under a store's name; the build names it as
``oci-layout://NAME@DIGEST`` and the engine fetches manifest, config and layers from us.
Engines with the containerd store, and buildkitd, can do that. Read-only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.filesync import framed
from homeport.buildkit.session import Service
from homeport.buildkit.session_services import GrpcWire
from homeport.buildkit.wire import decode, encode, message, number, part, raw, text
from homeport.content.blob import Blob, BytesBlob
from homeport.images.image import Image, Index, walk

_CONTENT = "/containerd.services.content.v1.Content/"
_STORE = "buildkit-attachable-store-id"
_CHUNK = 512 << 10
_REFUSED = ("Write", "Status", "ListStatuses", "Abort", "Delete", "List", "Update")


@message
class InfoRequest:
    digest: str = text(1)


@message
class Info:
    digest: str = text(1)
    size: int = number(2)


@message
class InfoResponse:
    info: Info | None = part(1, lambda: Info)


@message
class ReadRequest:
    digest: str = text(1)
    offset: int = number(2)
    size: int = number(3)


@message
class ReadResponse:
    offset: int = number(1)
    data: bytes = raw(2)


def content_services(images: Mapping[str, Image | Index]) -> dict[str, Service]:
    """Serve the images, each by its store's name."""
    stores = {f"oci:{name}": _blobs(value) for name, value in images.items()}

    def find(stream: Any, digest: str) -> Blob:
        blob = stores.get(str(stream.metadata.get(_STORE, "")), {}).get(digest)
        if blob is None:
            raise GRPCError(Status.NOT_FOUND, f"content {digest} is not offered: not found")
        return blob

    async def info(stream: Any) -> None:
        digest = decode(InfoRequest, await stream.recv_message()).digest
        blob = find(stream, digest)
        answer = InfoResponse(info=Info(digest=digest, size=blob.size))
        await stream.send_message(encode(answer))

    async def read(stream: Any) -> None:
        request = decode(ReadRequest, await stream.recv_message())
        blob = find(stream, request.digest)
        if not 0 <= request.offset <= blob.size or request.size < 0:
            raise GRPCError(Status.OUT_OF_RANGE, f"{request.digest} has {blob.size} bytes")
        wire, at = GrpcWire(stream), request.offset
        end = min(blob.size, at + request.size) if request.size else blob.size
        with blob.open(at) as source:
            while at < end and (
                data := await asyncio.to_thread(source.read, min(_CHUNK, end - at))
            ):
                await wire.send(framed(encode(ReadResponse(offset=at, data=data))))
                at += len(data)

    async def refuse(stream: Any) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, "this store is only read")

    return {
        _CONTENT + "Info": info,
        _CONTENT + "Read": read,
        **{_CONTENT + name: refuse for name in _REFUSED},
    }


def _blobs(value: Image | Index) -> dict[str, Blob]:
    found: dict[str, Blob] = {}
    for each in walk(value):
        found[str(each.digest)] = BytesBlob(each.document.raw)
        if isinstance(each, Image):
            found |= {str(digest): blob for digest, blob in each.blobs.items()}
    return found
