"""The order of a push: blobs, manifests by digest, index, tags last.

Each digest is sent once, however many platforms share it. A manifest that exists does not
prove that its parts do: every part is asked for, as many at once as the lookup pool allows
(over a distant line each wave costs one round trip), and a missing one is sent right away
by the network pool. Tags come last, so that a tag never names an incomplete image.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.hash_cache import KnownGoodFiles
from homeport.content.thread_pools import Batch, Threads, run_all
from homeport.errors import HomeportError
from homeport.net.errors import SourceChanged
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.progress import Progress, Silent
from homeport.registry.errors import Denied, PartsMissing, RegistryError, TagTaken
from homeport.registry.referrers import NotAList, describe, ensure_listed
from homeport.registry.repository import Accepted, Repository
from homeport.registry.upload import upload_blob

#: How often parts that the registry reports as missing are checked (eventual consistency).
_CHECKS = 4


class PushManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or index to push. ``refers``: it has a subject, so it must be listed there."""

    raw: bytes
    media_type: str
    digest: Digest
    refers: bool = False

    def __repr__(self) -> str:
        return f"PushManifest({self.media_type}, {self.digest}, refers={self.refers})"


class PushRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that one push sends.

    blobs:     by digest, each once
    manifests: children before parents, the one that the tags name last
    referrers: signatures and the like; they come after what they refer to, before the tags
    known_good: blobs that were verified when they came and are not hashed again
    origins:   repositories of the same registry that hold a blob already, for mounting
    """

    blobs: Mapping[Digest, Blob]
    manifests: Sequence[PushManifest]
    referrers: Sequence[PushManifest] = ()
    tags: Sequence[str] = ()
    known_good: frozenset[Digest] = frozenset()
    origins: Mapping[Digest, str] = msgspec.field(default_factory=dict)


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What a push did: blobs sent, mounted and found, bytes sent, manifests written."""

    digest: Digest
    sent: int
    sent_bytes: int
    mounted: int
    present: int
    manifests: int
    accepted: Mapping[Digest, Accepted] = msgspec.field(default_factory=dict)


def push(
    repository: Repository,
    push_request: PushRequest,
    pool: Threads,
    *,
    lookups: Threads | None = None,
    no_clobber: bool = False,
    progress: Progress | None = None,
    parent: str | None = None,
    files: KnownGoodFiles | None = None,
) -> Pushed:
    """Push ``push_request`` to ``repository``. Safe to run again after any failure.

    pool:    sends blobs and manifests
    lookups: asks which parts the registry has; without it, ``pool`` does
    files:   what earlier runs have verified, which is not hashed again

    Raises ``TagTaken`` if a tag names another digest and ``no_clobber`` is set, and everything
    that ``upload_blob`` and ``put_manifest`` raise.
    """
    work = _Push(
        repository, push_request, pool, lookups=lookups or pool,
        progress=progress or Silent(), parent=parent, files=files,
    )  # fmt: skip
    return work.run(no_clobber)


class _RegistryState(msgspec.Struct, frozen=True, kw_only=True):
    """Which manifests the registry lacks, and the digest of each tag."""

    missing: Sequence[PushManifest]
    tags: Mapping[str, Digest | None]


class _Push:
    def __init__(
        self,
        repository: Repository,
        push_request: PushRequest,
        pool: Threads,
        *,
        lookups: Threads,
        progress: Progress,
        parent: str | None,
        files: KnownGoodFiles | None,
    ) -> None:
        self._repository = repository
        self._push_request = push_request
        self._pool = pool
        self._lookups = lookups
        self._progress = progress
        self._parent = parent
        self._files = files
        self._id = f"push {repository} {push_request.manifests[-1].digest}"
        self._lock = threading.Lock()
        self._sent: set[Digest] = set()
        self._mounted: set[Digest] = set()
        self._counted: set[Digest] = set()  # blobs that progress has counted
        self._sent_bytes = 0
        self._accepted: dict[Digest, Accepted] = {}

    def run(self, no_clobber: bool) -> Pushed:
        push_request = self._push_request
        self._repository.registry.base()  # logs in before any body is sent
        if no_clobber:
            self._refuse_to_move_tags()
        self._progress.begin(
            self._id, parent=self._parent, label=f"Pushing to {self._named()}",
            total=sum(blob.size for blob in push_request.blobs.values()), unit="bytes",
        )  # fmt: skip
        try:
            state = self._ensure_parts(self._all_manifests(), push_request.tags)
            self._write(state.missing)
            self._list_referrers()
            self._tag(state.tags)
        except BaseException:
            self._progress.end(self._id, "failed")
            raise
        self._progress.end(self._id, "done" if self._sent or state.missing else "cached")
        return Pushed(
            digest=push_request.manifests[-1].digest,
            sent=len(self._sent),
            sent_bytes=self._sent_bytes,
            mounted=len(self._mounted),
            present=len(push_request.blobs) - len(self._sent) - len(self._mounted),
            manifests=len(self._accepted),
            accepted=self._accepted,
        )

    def _named(self) -> str:
        """The image as it is called there: its first tag, else the repository."""
        tags = self._push_request.tags
        return f"{self._repository}:{tags[0]}" if tags else str(self._repository)

    def _all_manifests(self) -> list[PushManifest]:
        """All manifests, in the order in which they are written."""
        return [*self._push_request.manifests, *self._push_request.referrers]

    def _ensure_parts(
        self, manifests: Sequence[PushManifest], tags: Sequence[str]
    ) -> _RegistryState:
        """Ask for everything at once; send a missing blob right after the answer.

        Large ones first, so that no worker is left with a large one at the end.
        """
        uploads: Batch[None] = Batch(self._pool)
        references: list[Digest | str] = [*(one.digest for one in manifests), *tags]
        blobs = sorted(self._push_request.blobs.values(), key=lambda blob: blob.size, reverse=True)
        calls: list[Callable[[], Digest | None]] = [
            *(partial(self._found, reference) for reference in references),
            *(partial(self._ensure_blob, blob, uploads) for blob in blobs),
        ]
        try:
            found = run_all(self._lookups, calls)
        except HomeportError:
            uploads.drop()
            with contextlib.suppress(HomeportError):
                uploads.results()  # what was begun ends before the push does
            raise
        except BaseException:  # an interrupt: not even what was begun is waited for
            uploads.drop()
            raise
        uploads.results()
        return _RegistryState(
            missing=[
                one for one, digest in zip(manifests, found, strict=False) if digest != one.digest
            ],
            tags=dict(zip(tags, found[len(manifests) :], strict=False)),
        )

    def _found(self, reference: Digest | str) -> Digest | None:
        try:
            return self._repository.manifest_digest(reference, scopes=self._repository.push_scope)
        except Denied:  # what Artifactory answers for what is not there; sending it will tell
            return None

    def _has(self, blob: Blob) -> bool:
        repository = self._repository
        found = repository.has_blob(blob.digest, blob.size, repository.push_scope)
        if found:
            repository.registry.seen_blobs.setdefault(blob.digest, repository.name)
        return found

    def _refuse_to_move_tags(self) -> None:
        wanted = self._push_request.manifests[-1].digest
        for tag in self._push_request.tags:
            found = self._found(tag)
            if found is not None and found != wanted:
                raise TagTaken(
                    f"{self._repository}:{tag} already exists with digest {found}",
                    where={"tag": tag, "digest": str(found)},
                    hint="to move the tag, omit --no-clobber",
                )

    def _ensure_blob(self, blob: Blob, uploads: Batch[None]) -> None:
        """Make sure that the registry has ``blob``, or start its upload."""
        if not self._has(blob):
            uploads.start(partial(self._upload, blob))
            return
        with self._lock:
            new = blob.digest not in self._counted
            self._counted.add(blob.digest)
        self._progress.advance(self._id, blob.size if new else 0)

    def _upload(self, blob: Blob) -> None:
        """Mount or send a blob that the registry lacks."""
        repository = self._repository
        known_good, state = blob.digest in self._push_request.known_good, None
        if self._files is not None and not known_good:
            state = self._files.state(blob)
            known_good = self._files.has(state)
        try:
            was_sent = upload_blob(
                repository,
                blob,
                mount_from=self._mount_source(blob),
                known_good=known_good,
                on_sent=lambda count: self._progress.advance(self._id, count),
                on_note=lambda text: self._progress.note(self._id, text),
            )
        except SourceChanged:
            if self._files is not None:  # the file changed although its times did not
                self._files.forget(state)
            raise
        if self._files is not None and was_sent and not known_good:
            self._files.add(state, blob)
        repository.registry.seen_blobs[blob.digest] = repository.name
        with self._lock:
            self._counted.add(blob.digest)
            if was_sent:
                self._sent.add(blob.digest)
                self._sent_bytes += blob.size
            else:
                self._mounted.add(blob.digest)
                self._progress.advance(self._id, blob.size)

    def _mount_source(self, blob: Blob) -> str | None:
        seen = self._repository.registry.seen_blobs.get(blob.digest)
        origin = self._push_request.origins.get(blob.digest, seen)
        if blob.digest in self._mounted:
            return None  # the registry reported a mount, but lacks the blob
        # Nothing known: the registry may still find it somewhere ("" is a mount without from),
        # and if not, the answer is the open upload that would have been asked for anyway.
        return origin if origin and origin != self._repository.name else ""

    def _write(self, manifests: Sequence[PushManifest]) -> None:
        """Images at once, for they need none of each other; then the rest, in order."""
        images = [
            one for one in manifests if one.media_type not in media_types.INDEXES and not one.refers
        ]
        refused = run_all(self._pool, [partial(self._try_put, one) for one in images])
        for image, parts_missing in zip(images, refused, strict=True):
            if parts_missing:
                self._put(image, image.digest)
        written = {image.digest for image in images}
        for manifest in manifests:
            if manifest.digest not in written:
                self._put(manifest, manifest.digest)

    def _list_referrers(self) -> None:
        """List manifests with a subject as its referrers, where the registry does not."""
        for manifest in self._all_manifests():
            accepted = self._accepted.get(manifest.digest)
            if not manifest.refers or (accepted is not None and accepted.subject_indexed):
                continue
            described = describe(manifest.raw, manifest.media_type)
            if described is not None:
                self._list(manifest, *described)

    def _list(self, manifest: PushManifest, subject: Digest, referrer: Descriptor) -> None:
        try:
            ensure_listed(self._repository, subject, referrer)
        except NotAList:
            raise
        except RegistryError as error:
            # Immutable tags, and registries that take the tag for a digest: what refers is there,
            # and clients that know its digest or its tag find it.
            if error.status not in (400, 403, 405, 409, 412):
                raise
            self._progress.note(
                f"referrer {manifest.digest}",
                f"warning: {self._repository} keeps no list with the referrer {manifest.digest}: "
                f"{error.what}",
            )

    def _tag(self, tags: Mapping[str, Digest | None]) -> None:
        top = self._push_request.manifests[-1]
        for tag, found in tags.items():
            if found != top.digest:
                self._put(top, tag)

    def _try_put(self, manifest: PushManifest) -> bool:
        """Write one manifest by its digest; ``True`` if the registry lacks parts of it."""
        try:
            self._accepted[manifest.digest] = self._repository.put_manifest(
                manifest.raw, manifest.media_type, manifest.digest, manifest.digest
            )
        except PartsMissing:
            return True
        return False

    def _put(self, manifest: PushManifest, reference: Digest | str) -> None:
        """Write one manifest; if the registry lacks parts, check every one of them."""
        client = self._repository.registry.client
        for look in range(_CHECKS):
            try:
                self._accepted[manifest.digest] = self._repository.put_manifest(
                    manifest.raw, manifest.media_type, reference, manifest.digest
                )
            except PartsMissing as error:
                if look + 1 == _CHECKS:
                    raise
                self._progress.note(self._id, f"{error.what}; checking all blobs and manifests")
                client.clock.wait(0.25 * 2**look, client.cancel)
                self._check_parts(manifest)
            else:
                return

    def _check_parts(self, manifest: PushManifest) -> None:
        before = self._all_manifests()[: self._all_manifests().index(manifest)]
        state = self._ensure_parts(before, ())
        for other in state.missing:
            self._repository.put_manifest(other.raw, other.media_type, other.digest, other.digest)
