"""Vendoring an upstream image: mirrored with all that belongs to it, and its origin written down.

The origin is an artifact that refers to the image: where it came from and which digest the
name had. It holds no time, so that importing again is the same artifact and nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.copy import Verify, tell_of_others
from homeport.images.image import Image, Index
from homeport.images.mirror import plan_transfer, send_transfer
from homeport.images.platforms import select
from homeport.images.transports.registry import RegistryTransport, open_manifests
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, encode, read_manifest_or_index
from homeport.oci.platform import Platform
from homeport.registry.push import Pushed, PushManifest
from homeport.registry.repository import Received
from homeport.runtime import Runtime

ORIGIN_TYPE = "application/vnd.homeport.origin.v1+json"
#: Annotations of the origin artifact (OCI image spec, "Pre-Defined Annotation Keys").
ORIGIN_NAME = "org.opencontainers.image.base.name"
ORIGIN_DIGEST = "org.opencontainers.image.base.digest"
_EMPTY = BytesBlob(b"{}")


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """An image that has come home.

    reference: to use from now on, with its digest
    upstream:  the digest that its name had there
    origin:    of the artifact that records where it came from
    signature: the verdict of ``verify`` in a word
    """

    source: str
    reference: str
    pushed: Pushed
    upstream: Digest
    origin: Digest
    signature: str = ""


def vendor(
    source: RegistryTransport, destination: RegistryTransport, runtime: Runtime, *,
    platforms: Sequence[Platform] | None = None,
    prepare: Callable[[Image | Index], Image | Index] = lambda value: value,
    verify: Verify = lambda _value: "",
) -> Imported:  # fmt: skip
    """Copy the image with signatures, SBOMs and provenance, and record where it came from.

    ``verify`` is given what the address leads to, then ``prepare`` what was chosen of it, before
    anything of it travels.
    """
    with source.open(runtime) as value:
        verdict = verify(value)
        chosen = select(value, platforms)
        tell_of_others(value, chosen, platforms, runtime)
        open_manifests(chosen, runtime.pools.network)
        chosen = prepare(chosen)
        transfer = plan_transfer(chosen, source, destination, runtime, with_referrers=True)
        origin = origin_of(_named(source), value.digest, chosen.descriptor())
        push_request = msgspec.structs.replace(
            transfer.push_request,
            blobs={**transfer.push_request.blobs, _EMPTY.digest: _EMPTY},
            referrers=(*transfer.push_request.referrers, origin),
        )
        pushed = send_transfer(
            msgspec.structs.replace(transfer, push_request=push_request), destination, runtime
        )
        return Imported(
            source=str(source.address),
            reference=str(destination.address.reference.at_digest(pushed.digest)),
            pushed=pushed,
            upstream=value.digest,
            origin=origin.digest,
            signature=verdict,
        )


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What an image says of where it came from: a name, with its tag, and what that was then."""

    name: str
    digest: Digest


class Repository(Protocol):
    """What origins are read from (``registry.sources``)."""

    def manifest(self, reference: str | Digest, *, suggest: bool = True) -> Received: ...
    def referrers(self, subject: Digest, *, with_tag: bool = False) -> Iterable[Descriptor]: ...


def origins(repository: Repository, reference: str | Digest) -> list[Origin]:
    """Where an image of a registry came from: by its origin artifacts, and its own annotations.

    The annotations are those that any builder may write of the image that it built on.
    """
    image = repository.manifest(reference)
    found = [_annotations(image)]
    for descriptor in repository.referrers(image.digest, with_tag=True):
        if descriptor.artifact_type == ORIGIN_TYPE:
            found.append(_annotations(repository.manifest(descriptor.parsed_digest)))
    return list(dict.fromkeys(o for each in found if (o := _origin(each)) is not None))


def _annotations(received: Received) -> Mapping[str, str]:
    document = read_manifest_or_index(received.raw, received.media_type)
    return document.parsed.annotations


def _origin(annotations: Mapping[str, str]) -> Origin | None:
    name, digest = annotations.get(ORIGIN_NAME, ""), annotations.get(ORIGIN_DIGEST, "")
    try:
        return Origin(name=name, digest=Digest.parse(digest)) if name else None
    except HomeportError:
        return None  # strangers write there what they like


def _named(source: RegistryTransport) -> str:
    """The reference with its tag, as annotations of base images have it."""
    reference = source.address.reference
    return f"{reference.name}:{reference.tag}" if reference.tag else reference.name


def origin_of(name: str, digest: Digest, subject: Descriptor) -> PushManifest:
    """The artifact that says where ``subject`` came from.

    name: with its tag, which is asked about later (``freshness.upstreams``)
    """
    empty = Descriptor(
        media_type=media_types.OCI_EMPTY, digest=str(_EMPTY.digest), size=2, data="e30="
    )
    manifest = Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        artifact_type=ORIGIN_TYPE,
        config=empty,
        layers=(empty,),
        subject=Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size),
        annotations={ORIGIN_NAME: name, ORIGIN_DIGEST: str(digest)},
    )
    raw = encode(manifest)
    return PushManifest(
        raw=raw, media_type=media_types.OCI_MANIFEST, digest=Digest.of(raw), refers=True
    )
