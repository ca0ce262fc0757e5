"""The transport ``docker://``: an image in a registry.

Manifests are read when they are opened; a blob is downloaded, verified and resumable, into
the cache when it is first needed, and is a file from then on, so that it can be sent again
from any byte. The protocol is ``homeport.registry``'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cache

from homeport.content.blob import Blob, Remote
from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.thread_pools import Threads, run_all
from homeport.errors import UsageError
from homeport.images.address import RegistryAddress
from homeport.images.image import (
    COUNT_LIMIT,
    Child,
    Image,
    ImageNotFound,
    Index,
    Missing,
    digest_of,
    open_contents,
    walk,
)
from homeport.images.image_blobs import all_blobs, blobs_of
from homeport.images.lazy_blob import LazyBlob
from homeport.images.transports.base import Written
from homeport.net.errors import HttpFailure
from homeport.oci.documents import MANIFEST_LIMIT, Descriptor
from homeport.oci.reference import Reference
from homeport.registry.errors import NotFound
from homeport.registry.push import PushManifest, PushRequest, push
from homeport.registry.registries import Registries
from homeport.registry.repository import Repository
from homeport.registry.sources import RepositorySources
from homeport.runtime import Runtime

#: Manifests up to this size, and up to so many, are not asked for twice in a run.
_KEPT_SIZE = 64 << 10
_KEPT_COUNT = 256
_TAGS = "tags"  # what a tag pointed to when its manifest was fetched


class RemoteBlob(LazyBlob, frozen=True, kw_only=True):
    """A blob in a registry: fetched into the store when it is first opened.

    sources: where it can be read from, mirrors first
    """

    sources: RepositorySources

    @property
    def repository(self) -> Repository:
        return self.sources.origin

    def fetch(self) -> Blob:
        """The verified content. Raises ``Missing`` if the registry does not have it."""
        try:
            return self.sources.fetch_blob(
                self.descriptor, self.runtime.store, progress=self.runtime.progress
            )
        except (NotFound, HttpFailure) as error:
            if isinstance(error, HttpFailure) and error.status != 404:
                raise
            raise _missing(self.repository, self.descriptor) from error


def registry_transports(
    open: Callable[[], Registries], *, no_clobber: bool = False
) -> Callable[[RegistryAddress], RegistryTransport]:
    """Makes transports of registries, all with one ``Registries``, opened when first needed."""
    opened = cache(open)
    return lambda address: RegistryTransport(address, opened(), no_clobber=no_clobber)


class RegistryTransport:
    """One address in a registry, to be read or written."""

    def __init__(
        self,
        address: RegistryAddress,
        registries: Registries,
        *,
        no_clobber: bool = False,
    ) -> None:
        self._address = address
        self._registries = registries
        self.no_clobber = no_clobber

    @property
    def address(self) -> RegistryAddress:
        return self._address

    @property
    def repository(self) -> Repository:
        return self._registries.repository(self._address.reference)

    @property
    def sources(self) -> RepositorySources:
        """Where the address can be read: mirrors first, the registry itself last."""
        return self._registries.sources(self._address.reference)

    @contextlib.contextmanager
    def open(self, runtime: Runtime) -> Iterator[Image | Index]:
        contents = Contents(self.sources, runtime)
        with runtime.store.lease():
            try:
                raw, media_type = contents.named(self._address.reference)
            except NotFound as error:
                raise ImageNotFound(error.what, where=error.where, hint=error.hint) from error
            yield open_contents(contents, raw, media_type)

    def require(self, digest: Digest) -> None:
        """Raises ``UsageError`` if the address, as a destination, names another digest."""
        reference = self._address.reference
        if reference.digest not in (None, digest):
            raise UsageError(
                f"the image has digest {digest}, but the destination names {reference.digest}",
                where={"destination": str(reference)},
            )

    def write(self, value: Image | Index, runtime: Runtime) -> Written:
        reference = self._address.reference
        self.require(value.digest)
        repository = self.repository
        with runtime.store.lease():
            pushed = push(
                repository,
                push_request(value, repository, tags=(reference.tag,) if reference.tag else ()),
                runtime.pools.network,
                lookups=runtime.pools.lookups,
                no_clobber=self.no_clobber,
                progress=runtime.progress,
                files=KnownGoodFiles(runtime.store),
            )
        return Written(
            address=self._address,
            digest=pushed.digest,
            copied=pushed.sent,
            copied_bytes=pushed.sent_bytes,
            present=pushed.present + pushed.mounted,
        )


def push_request(
    value: Image | Index, repository: Repository, *, tags: tuple[str, ...]
) -> PushRequest:
    """What a push of ``value`` to ``repository`` brings there. Opens every manifest."""
    nodes = list(walk(value))
    blobs = blobs_of(nodes)
    # Attestations that an index lists need no second list, and cost a request each.
    listed = {
        child.descriptor.digest
        for node in nodes
        for child in (node.children if isinstance(node, Index) else ())
        if child.attests
    }
    return PushRequest(
        blobs=blobs,
        manifests=[
            PushManifest(
                raw=node.document.raw,
                media_type=node.document.media_type,
                digest=node.digest,
                refers=node.document.parsed.subject is not None and str(node.digest) not in listed,
            )
            for node in nodes
        ],
        tags=tags,
        known_good=frozenset(
            digest for digest, blob in blobs.items() if isinstance(blob, RemoteBlob)
        ),
        origins={
            digest: blob.repository.name
            for digest, blob in blobs.items()
            if isinstance(blob, RemoteBlob)
            and blob.repository.registry.name == repository.registry.name
        },
    )


def prefetch(
    value: Image | Index, pool: Threads, *, wanted: Callable[[Blob], bool] = lambda _blob: True
) -> None:
    """Download what of ``value`` is remote and ``wanted``, in parallel, largest first."""
    open_manifests(value, pool)
    blobs = sorted(all_blobs(value).values(), key=lambda blob: blob.size, reverse=True)
    run_all(pool, [blob.fetch for blob in blobs if isinstance(blob, Remote) and wanted(blob)])


def open_manifests(value: Image | Index, pool: Threads) -> None:
    """Read every manifest below ``value``, level by level in parallel; ``Contents`` keeps them."""
    level, seen = [value], {value.digest}
    while level:
        children: dict[Digest, Child] = {}
        for one in level:
            for child in one.children if isinstance(one, Index) else ():
                children.setdefault(digest_of(child.descriptor), child)
        new = [child for digest, child in children.items() if digest not in seen]
        seen.update(children)
        if len(seen) > COUNT_LIMIT:
            return  # reading it will raise the error
        level = run_all(pool, [child.open for child in new])


class Contents:
    """A repository, read by descriptor. Keeps manifests that were read, within bounds.

    They are also kept in the store, and read from there in a later run: registries count each
    manifest that is fetched as a pull, but no question for the digest of a tag.
    """

    def __init__(self, sources: RepositorySources, runtime: Runtime) -> None:
        self.sources = sources
        self._runtime = runtime
        self._kept: dict[str, bytes] = {}

    def manifest(self, descriptor: Descriptor) -> bytes:
        raw = self._kept.get(descriptor.digest)
        if raw is None:
            raw = self._stored(descriptor.parsed_digest, descriptor.size)
            raw = self._received(descriptor) if raw is None else raw
            if len(raw) <= _KEPT_SIZE and len(self._kept) < _KEPT_COUNT:
                self._kept[descriptor.digest] = raw
        return raw

    def _received(self, descriptor: Descriptor) -> bytes:
        try:
            found = self.sources.manifest(descriptor.parsed_digest)
        except NotFound as error:
            raise _missing(self.sources.origin, descriptor) from error
        self._runtime.store.put_bytes(found.raw)
        return found.raw

    def named(self, reference: Reference) -> tuple[bytes, str]:
        """The manifest or index under a reference, and its media type if the registry gave one.

        What an earlier run fetched is used if the tag still points to it. Raises ``NotFound``.
        """
        store = self._runtime.store
        if reference.digest is not None:
            if (raw := self._stored(reference.digest)) is not None:
                return raw, ""
        elif remembered := store.recall(_TAGS, str(reference)):
            digest, _, media_type = remembered.decode().partition(" ")
            raw = self._stored(Digest.parse(digest))
            if raw is not None and str(self.sources.manifest_digest(reference.tag)) == digest:
                return raw, media_type
        found = self.sources.manifest(reference.digest or reference.tag)
        store.put_bytes(found.raw)
        if reference.digest is None:
            store.remember(_TAGS, str(reference), f"{found.digest} {found.media_type}".encode())
        return found.raw, found.media_type

    def _stored(self, digest: Digest, size: int | None = None) -> bytes | None:
        found = self._runtime.store.get(digest, size)
        if found is None or found.size > MANIFEST_LIMIT:
            return None
        with found.open() as stream:
            raw = stream.read()
        return raw if Digest.of(raw, digest.algorithm) == digest else None

    def blob(self, descriptor: Descriptor) -> Blob:
        return RemoteBlob(sources=self.sources, descriptor=descriptor, runtime=self._runtime)


def _missing(repository: Repository, descriptor: Descriptor) -> Missing:
    return Missing(
        f"{repository} does not have {descriptor.digest}, which the image needs",
        where={
            "registry": repository.registry.name,
            "repository": repository.name,
            "digest": descriptor.digest,
        },
    )
