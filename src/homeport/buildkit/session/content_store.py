"""Contents of ours for an engine: the part of containerd's content API that it asks for.

A session offers stores by name. ``oci:NAME`` is an image of this machine, named in a build as
``oci-layout://NAME@DIGEST``; ``local:DIR`` is a build cache in a folder
(``homeport.buildkit.session.cache_folder``), which the engine may also write. Engines with the
containerd store, and buildkitd, can do that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from homeport.buildkit.protobuf import decode, encode, message, number, part, raw, text
from homeport.buildkit.session.filesync import framed
from homeport.buildkit.session.services import GrpcWire
from homeport.buildkit.session.session import Service
from homeport.content.blob import Blob, BytesBlob
from homeport.quantities import human_size

if TYPE_CHECKING:
    from homeport.images.image import Image, Index

_CONTENT = "/containerd.services.content.v1.Content/"
_STORE = "buildkit-attachable-store-id"
_CHUNK = 512 << 10
_REFUSED = ("Status", "ListStatuses", "Abort", "Delete", "List", "Update")
_ASK, _WRITE, _COMMIT = range(3)


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


@message
class WriteRequest:
    action: int = number(1)
    ref: str = text(2)
    total: int = number(3)
    expected: str = text(4)
    offset: int = number(5)
    data: bytes = raw(6)


@message
class WriteResponse:
    action: int = number(1)
    offset: int = number(4)
    total: int = number(5)
    digest: str = text(6)


class Ingest(Protocol):
    """One blob on its way in. Given up when its block is left without ``commit``."""

    @property
    def size(self) -> int:
        """Bytes so far."""

    def write(self, data: bytes) -> None: ...

    def restart(self) -> None:
        """Forget what came."""

    def commit(self, size: int, digest: str) -> str:
        """Check it (if size or digest are known), keep it, and return its digest."""


class ContentStore(Protocol):
    """Blobs by digest."""

    def find(self, digest: str) -> Blob | None: ...

    def ingest(self) -> AbstractContextManager[Ingest] | None:
        """A place for a new blob; ``None`` if the store is only read."""


class ImageStore:
    """An image's manifests and blobs, only read."""

    def __init__(self, value: Image | Index) -> None:
        from homeport.images.image import Image, walk  # 5 ms that a build without images saves

        self._blobs: dict[str, Blob] = {}
        for each in walk(value):
            self._blobs[str(each.digest)] = BytesBlob(each.document.raw)
            if isinstance(each, Image):
                self._blobs |= {str(digest): blob for digest, blob in each.blobs.items()}

    def find(self, digest: str) -> Blob | None:
        return self._blobs.get(digest)

    def ingest(self) -> None:
        return None


def content_services(
    images: Mapping[str, Image | Index], more: Mapping[str, ContentStore] | None = None
) -> dict[str, Service]:
    """Serve images, each by its name, and ``more`` stores by their whole names."""
    return _services(
        {**{f"oci:{name}": ImageStore(images[name]) for name in images}, **(more or {})}
    )


def _services(stores: Mapping[str, ContentStore]) -> dict[str, Service]:

    def chosen(stream: Any) -> ContentStore:
        name = str(stream.metadata.get(_STORE, ""))
        if name not in stores:
            raise GRPCError(Status.NOT_FOUND, f"store {name!r}: not found")
        return stores[name]

    async def find(stream: Any, digest: str) -> Blob:
        blob = await asyncio.to_thread(chosen(stream).find, digest)
        if blob is None:
            raise GRPCError(Status.NOT_FOUND, f"content {digest}: not found")
        return blob

    async def info(stream: Any) -> None:
        digest = decode(InfoRequest, await stream.recv_message()).digest
        blob = await find(stream, digest)
        answer = InfoResponse(info=Info(digest=digest, size=blob.size))
        await stream.send_message(encode(answer))

    async def read(stream: Any) -> None:
        request = decode(ReadRequest, await stream.recv_message())
        await _send(await find(stream, request.digest), request, GrpcWire(stream))

    async def write(stream: Any) -> None:
        await _take(chosen(stream), stream)

    async def refuse(stream: Any) -> None:
        raise GRPCError(Status.UNIMPLEMENTED, "this store has only Info, Read and Write")

    return {
        _CONTENT + "Info": info,
        _CONTENT + "Read": read,
        _CONTENT + "Write": write,
        **{_CONTENT + name: refuse for name in _REFUSED},
    }


async def _send(blob: Blob, request: ReadRequest, wire: GrpcWire) -> None:
    if not 0 <= request.offset <= blob.size or request.size < 0:
        raise GRPCError(Status.OUT_OF_RANGE, f"{request.digest} has {human_size(blob.size)}")
    at = request.offset
    end = min(blob.size, at + request.size) if request.size else blob.size
    with blob.open(at) as source:
        while at < end and (data := await asyncio.to_thread(source.read, min(_CHUNK, end - at))):
            await wire.send(framed(encode(ReadResponse(offset=at, data=data))))
            at += len(data)


async def _take(store: ContentStore, stream: Any) -> None:
    """One blob: any number of questions and pieces, each answered, then a commit."""
    opened = store.ingest()
    if opened is None:
        raise GRPCError(Status.UNIMPLEMENTED, "this store is only read")
    with opened as ingest:
        while (data := await stream.recv_message()) is not None:
            asked = decode(WriteRequest, data)
            known = await asyncio.to_thread(store.find, asked.expected) if asked.expected else None
            if known is not None:
                raise GRPCError(Status.ALREADY_EXISTS, f"blob {asked.expected} already exists")
            digest = "" if asked.action == _ASK else await _step(ingest, asked)
            answer = WriteResponse(
                action=asked.action, offset=ingest.size, total=asked.total, digest=digest
            )
            await stream.send_message(encode(answer))


async def _step(ingest: Ingest, asked: WriteRequest) -> str:
    if asked.offset and asked.offset != ingest.size:
        raise GRPCError(Status.OUT_OF_RANGE, f"the next byte is number {ingest.size}")
    if asked.data:
        if not asked.offset and ingest.size:
            ingest.restart()
        await asyncio.to_thread(ingest.write, asked.data)
    if asked.action != _COMMIT:
        return ""
    return await asyncio.to_thread(ingest.commit, asked.total, asked.expected)
