"""Copying images between registries with everything that refers to them.

An image's signatures, SBOMs and provenance are found through the referrers API or its
fallback tag, and through cosign's tags (``sha256-….sig``). They arrive before the tag does,
so that no client sees the image without them. Digests stay as they are.
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.thread_pools import run_all
from homeport.errors import HomeportError, Interrupted, UsageError
from homeport.images.address import Address, RegistryAddress
from homeport.images.copy import Prepare, Verify, tell_of_others, unchanged
from homeport.images.image import Image, Index, walk
from homeport.images.platforms import select
from homeport.images.referring import find_referring
from homeport.images.storage.layout import is_digest_tag
from homeport.images.transports.base import Source
from homeport.images.transports.registry import RegistryTransport, open_manifests, push_request
from homeport.images.transports.select import source_for
from homeport.oci.platform import Platform
from homeport.registry.errors import NotFound
from homeport.registry.push import Pushed, PushManifest, PushRequest, push
from homeport.registry.repository import Repository
from homeport.registry.sources import RepositorySources
from homeport.runtime import Runtime

RegistryMaker = Callable[[RegistryAddress], RegistryTransport]


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """One image to copy: what is pushed, and the signatures with their own tags."""

    value: Image | Index
    push_request: PushRequest
    signatures: Sequence[tuple[str, PushRequest]] = ()


class MirrorPair(msgspec.Struct, frozen=True, kw_only=True):
    """One image to copy, with its signatures, SBOMs and provenance if ``referrers``."""

    source: Address
    destination: RegistryAddress
    platforms: Sequence[Platform] | None = None
    referrers: bool = False


class MirrorOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one pair: exactly one of the three is set."""

    pair: MirrorPair
    pushed: Pushed | None = None
    estimate: Estimate | None = None
    error: HomeportError | None = None

    @property
    def digest(self) -> Digest | None:
        """Of the image that was copied, or would be."""
        found = self.pushed or self.estimate
        return found.digest if found is not None else None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy would do. ``requests``: manifests read, which rate limits count as pulls."""

    digest: Digest
    images: int
    blobs: int
    missing: int
    missing_bytes: int
    requests: int


def plan_transfer(
    value: Image | Index, source: Source, destination: RegistryTransport, runtime: Runtime, *,
    with_referrers: bool,
) -> Transfer:  # fmt: skip
    """Find everything that is copied. ``value`` is what ``source.open`` gave, or a part of it."""
    destination.require(value.digest)
    tag = destination.address.reference.tag
    target = destination.repository
    base = push_request(value, target, tags=(tag,) if tag else ())
    if not with_referrers or not isinstance(source, RegistryTransport):
        return Transfer(value=value, push_request=base)
    found = find_referring(source, [node.digest for node in walk(value)], runtime)
    known = {one.digest for one in base.manifests}
    extra = [
        push_request(one, target, tags=()) for one in found.artifacts if one.digest not in known
    ]
    blobs: dict[Digest, Blob] = dict(base.blobs)
    origins: dict[Digest, str] = dict(base.origins)
    statements: dict[Digest, PushManifest] = {}
    for one in extra:
        blobs |= one.blobs
        origins |= one.origins
        statements |= {s.digest: s for s in one.manifests if s.digest not in known}
    return Transfer(
        value=value,
        push_request=msgspec.structs.replace(
            base,
            blobs=blobs,
            origins=origins,
            known_good=base.known_good.union(*(one.known_good for one in extra)),
            referrers=tuple(statements.values()),
        ),
        signatures=[(tag, push_request(one, target, tags=(tag,))) for tag, one in found.tagged],
    )


def send_transfer(transfer: Transfer, destination: RegistryTransport, runtime: Runtime) -> Pushed:
    """Push it: signatures under their own tags first, the image's tag last.

    What is returned counts all of these pushes together, each blob once.
    """
    network, lookups = runtime.pools.network, runtime.pools.lookups
    signatures = [
        push(destination.repository, extra, network, lookups=lookups)  # small: one bar an image
        for _tag, extra in transfer.signatures
    ]
    image = push(
        destination.repository, transfer.push_request, network, lookups=lookups,
        no_clobber=destination.no_clobber, progress=runtime.progress,
    )  # fmt: skip
    done = [*signatures, image]
    sent = sum(one.sent for one in done)
    mounted = sum(one.mounted for one in done)
    return msgspec.structs.replace(
        image,
        sent=sent,
        sent_bytes=sum(one.sent_bytes for one in done),
        mounted=mounted,
        present=len(_blobs(transfer)) - sent - mounted,
        manifests=sum(one.manifests for one in done),
    )


def estimate(transfer: Transfer, destination: RegistryTransport, runtime: Runtime) -> Estimate:
    """What ``send_transfer`` would do, as a dry run. A repository that is absent has no blobs."""
    push_requests = [transfer.push_request, *(extra for _tag, extra in transfer.signatures)]
    blobs = _blobs(transfer)
    repository = destination.repository
    there = run_all(
        runtime.pools.lookups, [partial(_is_there, repository, blob) for blob in blobs.values()]
    )
    missing = [blob for blob, found in zip(blobs.values(), there, strict=True) if not found]
    statements = sum(len(one.manifests) + len(one.referrers) for one in push_requests)
    return Estimate(
        digest=transfer.value.digest,
        images=sum(1 for node in walk(transfer.value) if isinstance(node, Image)),
        blobs=len(blobs),
        missing=len(missing),
        missing_bytes=sum(blob.size for blob in missing),
        requests=statements,
    )


def mirror(
    pair: MirrorPair, registry: RegistryMaker, runtime: Runtime, *, prepare: Prepare = unchanged,
    verify: Verify = lambda _value: "", dry_run: bool = False,
) -> MirrorOutcome:  # fmt: skip
    """Copy one image, with its referrers if the pair asks for them. A second run copies nothing.

    registry: makes the transport of a registry address
    verify:   is given what the address leads to, before anything of it travels
    dry_run:  find out what would be copied, and copy nothing

    An error becomes part of the outcome, so that the next image can be copied; only
    ``Interrupted`` is raised.
    """
    try:
        source = source_for(pair.source, registry)
        destination = registry(pair.destination)
        with source.open(runtime) as value:
            verify(value)
            chosen = select(value, pair.platforms)
            tell_of_others(value, chosen, pair.platforms, runtime)
            open_manifests(chosen, runtime.pools.network)
            transfer = plan_transfer(
                prepare(chosen), source, destination, runtime, with_referrers=pair.referrers
            )
            if dry_run:
                found = estimate(transfer, destination, runtime)
                return MirrorOutcome(pair=pair, estimate=found)
            return MirrorOutcome(pair=pair, pushed=send_transfer(transfer, destination, runtime))
    except Interrupted:
        raise
    except HomeportError as error:
        return MirrorOutcome(pair=pair, error=error)


def matching_tags(repository: RepositorySources, globs: Sequence[str] = ()) -> list[str]:
    """The tags of images in a repository that match one of ``globs``; without globs, all.

    Raises ``UsageError`` if none does.
    """
    found = [tag for tag in repository.tags() if not is_digest_tag(tag)]
    chosen = [
        tag for tag in found if not globs or any(fnmatch.fnmatchcase(tag, glob) for glob in globs)
    ]
    if not chosen:
        raise UsageError(
            f"no tag of {repository} matches (of {len(found)})",
            hint=f"homeport tags {shlex.quote(str(repository))}",
        )
    return chosen


def _blobs(transfer: Transfer) -> dict[Digest, Blob]:
    """Every blob that is copied, each once."""
    found = dict(transfer.push_request.blobs)
    for _tag, extra in transfer.signatures:
        found |= extra.blobs
    return found


def _is_there(repository: Repository, blob: Blob) -> bool:
    try:
        return repository.has_blob(blob.digest, blob.size)
    except NotFound:
        return False
