"""What is attached to images in a registry: the referrers API, its fallback tag, cosign's tags."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from homeport.attest.attached.base import Tagged, require_artifact
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.image import Image, open_contents
from homeport.images.transports.registry import Contents, RegistryTransport, push_request
from homeport.oci.documents import Descriptor, Manifest, read_manifest_or_index
from homeport.registry.errors import NotFound, ProtocolBroken
from homeport.registry.process_lock import process_lock
from homeport.registry.push import PushRequest, push
from homeport.runtime import Runtime

_TRIES = 6


class RegistryAttached:
    """One repository (``base.Attached``)."""

    def __init__(self, transport: RegistryTransport, runtime: Runtime) -> None:
        self._transport = transport
        self._sources = transport.sources
        self._contents = Contents(self._sources, runtime)
        self._runtime = runtime

    @property
    def repository(self) -> str:
        return self._transport.address.reference.name

    def tagged(self, tag: str) -> Tagged | None:
        try:
            found = self._sources.manifest(tag, suggest=False)
        except NotFound:
            return None
        return Tagged(raw=found.raw, media_type=found.media_type)

    def referrers(self, subject: Digest) -> list[Descriptor]:
        return self._sources.referrers(subject, with_tag=True)

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._contents.manifest(descriptor)

    def blob(self, descriptor: Descriptor) -> Blob:
        return self._contents.blob(descriptor)

    def write_referrers(self, values: Sequence[Image]) -> None:
        requests = [push_request(one, self._transport.repository, tags=()) for one in values]
        if requests:
            self._push(
                PushRequest(
                    blobs={digest: blob for one in requests for digest, blob in one.blobs.items()},
                    manifests=[manifest for one in requests for manifest in one.manifests],
                )
            )

    def change_tagged(self, tag: str, change: Callable[[Image | None], Image]) -> None:
        client = self._transport.repository.registry.client
        with process_lock(f"{self.repository}:{tag}", client.clock, client.cancel):
            for _ in range(_TRIES):
                current = self._artifact(tag)
                value = change(current)
                request = push_request(value, self._transport.repository, tags=())
                self._push(msgspec.structs.replace(request, tags=(tag,)))
                # No registry can lock a tag: another client may have written in between.
                found = self.tagged(tag)
                if found is not None and _holds(found.raw, value):
                    return
        raise ProtocolBroken(
            f"{self.repository}:{tag} keeps losing signatures",
            hint="run the command again when no other client writes to it",
        )

    def _artifact(self, tag: str) -> Image | None:
        found = self.tagged(tag)
        if found is None:
            return None
        return require_artifact(open_contents(self._contents, found.raw, found.media_type), tag)

    def _push(self, request: PushRequest) -> None:
        with self._runtime.store.lease():
            push(
                self._transport.repository, request, self._runtime.pools.network,
                progress=self._runtime.progress,
            )  # fmt: skip


def _holds(raw: bytes, value: Image) -> bool:
    """Whether a manifest still has every layer of ``value``."""
    parsed = read_manifest_or_index(raw).parsed
    layers = parsed.layers if isinstance(parsed, Manifest) else ()
    return all(layer in layers for layer in value.document.parsed.layers)
