"""One repository of a registry: reading and writing manifests and blobs, asking what is there.

Every manifest is checked against its digest; blobs are checked where they are downloaded.
Uploads of blobs are in ``registry.upload``, the order of a push in ``registry.push``.
"""

from __future__ import annotations

import contextlib
import difflib
import shlex
from collections.abc import Iterator

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError, IntegrityError, UsageError
from homeport.net.download import download
from homeport.net.response import Response
from homeport.net.retries import DELETE, PUT_MANIFEST
from homeport.oci import media_types
from homeport.oci.documents import MANIFEST_LIMIT, Descriptor
from homeport.progress import Progress
from homeport.registry.client import LoggedIn, Registry, scope
from homeport.registry.errors import NotFound, ProtocolBroken, RegistryError, failure
from homeport.registry.listing import tags
from homeport.registry.tokens import Scopes

ACCEPT = ", ".join(
    (media_types.OCI_INDEX, media_types.OCI_MANIFEST, media_types.DOCKER_INDEX,
     media_types.DOCKER_MANIFEST, "*/*;q=0.1")
)  # fmt: skip


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest as the registry sent it: checked against the digest that was asked for."""

    raw: bytes
    media_type: str
    digest: Digest


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The registry's response to a manifest. ``subject_indexed``: it lists referrers itself."""

    digest: Digest
    subject_indexed: bool


class Repository(msgspec.Struct, frozen=True):
    """``name`` is the path within the registry, without host."""

    registry: Registry
    name: str

    def __str__(self) -> str:
        return f"{self.registry.name}/{self.name}"

    @property
    def pull_scope(self) -> Scopes:
        return scope(self.name, "pull")

    @property
    def push_scope(self) -> Scopes:
        return scope(self.name, "pull", "push")

    def tags(self, *, limit: int | None = None) -> Iterator[str]:
        """The tags, in the registry's order, each once (``listing.tags``)."""
        return tags(self.registry, self.name, limit=limit)

    def manifest(
        self, reference: str | Digest, *, scopes: Scopes | None = None, suggest: bool = True
    ) -> Received:
        """The manifest or index under a tag or digest.

        Raises ``NotFound`` (which with ``suggest`` names near tags), ``IntegrityError``,
        ``TooLarge``.
        """

        def once() -> Received:
            with self.registry.request(
                "GET", self._manifest_path(reference), scopes or self.pull_scope,
                headers={"Accept": ACCEPT},
            ) as response:  # fmt: skip
                if response.status != 200:
                    error = failure(response, f"read {self.name}:{reference}")
                    raise self._not_found(error, reference) if suggest else error
                raw = response.read_json(MANIFEST_LIMIT, "the manifest")
                return self._checked(raw, response, reference)

        client = self.registry.client
        with self._placed():
            return client.retrier.reread(once, client.cancel)

    def manifest_digest(
        self, reference: str | Digest, *, scopes: Scopes | None = None
    ) -> Digest | None:
        """Which digest a tag has (``None``: there is none); asks for no body if it can."""
        scopes = scopes or self.pull_scope
        with (
            self._placed(),
            self.registry.request(
                "HEAD", self._manifest_path(reference), scopes, headers={"Accept": ACCEPT}
            ) as response,
        ):
            if response.status == 404:
                return None
            header = response.headers.get("docker-content-digest", "")
            if response.status == 200 and header:
                with contextlib.suppress(UsageError):
                    return Digest.parse(header)
        try:  # an old registry: the bytes tell
            return self.manifest(reference, scopes=scopes).digest
        except NotFound:
            return None

    def put_manifest(
        self, raw: bytes, media_type: str, reference: str | Digest, digest: Digest
    ) -> Accepted:
        """Store a manifest under a tag or its digest; the same bytes, as often as it takes.

        Raises ``PartsMissing``, ``TagTaken``, ``Denied`` and other ``RegistryError``.
        """
        with self._placed(), self.registry.request(
            "PUT", self._manifest_path(reference), self.push_scope,
            headers={"Content-Type": media_type}, body=raw, rule=PUT_MANIFEST,
        ) as response:  # fmt: skip
            if response.status not in (200, 201, 202, 204):
                raise failure(
                    response, f"upload the manifest {reference}", scopes=", ".join(self.push_scope)
                )
            _expect_digest(response, digest)
            return Accepted(digest=digest, subject_indexed="oci-subject" in response.headers)

    def delete_manifest(self, reference: str | Digest) -> bool:
        """Delete a tag or a manifest; whether it was there. Raises ``Unsupported`` and others."""
        return self._delete(self._manifest_path(reference), f"delete {reference}")

    def delete_blob(self, digest: Digest) -> bool:
        """Delete a blob; whether it was there."""
        return self._delete(f"{self.name}/blobs/{digest}", f"delete {digest}")

    def has_blob(self, digest: Digest, size: int | None, scopes: Scopes | None = None) -> bool:
        """Whether the blob is there; doubtful answers count as no."""
        with (
            self._placed(),
            self.registry.request(
                "HEAD", f"{self.name}/blobs/{digest}", scopes or self.pull_scope
            ) as response,
        ):
            if response.status != 200:
                return False
            return size is None or response.length in (None, size)

    def fetch_blob(
        self, descriptor: Descriptor, store: Store, *, progress: Progress | None = None,
        label: str = "",
    ) -> Blob:  # fmt: skip
        """The blob, verified, in ``store``; resumed if an earlier run was cut."""
        digest = descriptor.parsed_digest
        found = store.get(digest, descriptor.size)
        if found is not None:
            return found
        with self._placed(digest=str(digest)):
            return download(
                LoggedIn(self.registry, self.pull_scope),
                [self.registry.url(f"{self.name}/blobs/{digest}")],
                digest=digest,
                size=descriptor.size,
                store=store,
                progress=progress,
                cancel=self.registry.client.cancel,
                label=label or f"{self} {str(digest)[7:19]}",
                deadline=self.registry.deadline,
            )

    def fetch_blob_of_unknown_size(
        self, digest: Digest, store: Store, *, progress: Progress | None = None
    ) -> Blob:
        """The blob with that digest; the registry is asked for its size first."""
        found = store.get(digest)
        if found is not None:
            return found
        with (
            self._placed(digest=str(digest)),
            self.registry.request(
                "HEAD", f"{self.name}/blobs/{digest}", self.pull_scope
            ) as response,
        ):
            if response.status != 200:
                raise failure(response, f"read the blob {digest}")
            size = response.length
        if size is None:
            raise ProtocolBroken(f"{self}: the registry returned no size for {digest}")
        descriptor = Descriptor(media_type="", digest=str(digest), size=size)
        return self.fetch_blob(descriptor, store, progress=progress)

    def _manifest_path(self, reference: str | Digest) -> str:
        return f"{self.name}/manifests/{reference}"

    def _delete(self, path: str, doing: str) -> bool:
        scopes = scope(self.name, "delete", "pull")
        with self._placed(), self.registry.request("DELETE", path, scopes, rule=DELETE) as response:
            if response.status in (200, 202, 204):
                return True
            if response.status == 404:
                return False
            raise failure(response, doing, scopes=", ".join(scopes))

    def _checked(self, raw: bytes, response: Response, reference: str | Digest) -> Received:
        media_type = response.media_type
        if isinstance(reference, Digest):
            expected: Digest | None = reference
        else:
            header = response.headers.get("docker-content-digest", "")
            expected = None
            with contextlib.suppress(UsageError):
                expected = Digest.parse(header) if header else None
        digest = Digest.of(raw, expected.algorithm if expected else "sha256")
        if expected is not None and digest != expected:
            raise IntegrityError(
                f"{self}: the manifest {reference} has digest {digest}, expected {expected}",
                where={"registry": self.registry.name, "repository": self.name},
            )
        return Received(raw=raw, media_type=media_type, digest=digest)

    def _not_found(self, error: RegistryError, reference: str | Digest) -> RegistryError:
        if not isinstance(error, NotFound) or isinstance(reference, Digest):
            return error
        try:
            near = difflib.get_close_matches(reference, list(self.tags(limit=1000)), n=3)
        except HomeportError:
            return NotFound(
                f"repository not found, or not visible to you: {self}",
                status=404, codes=error.codes, where=error.where,
            )  # fmt: skip
        return NotFound(
            f"tag not found: {self}:{reference}",
            status=404,
            codes=error.codes,
            where=error.where,
            hint=f"similar tags: {', '.join(near)}"
            if near
            else f"list them: homeport tags {shlex.quote(str(self))}",
        )

    @contextlib.contextmanager
    def _placed(self, **more: str) -> Iterator[None]:
        """Errors inside the block know registry and repository."""
        try:
            yield
        except HomeportError as error:
            raise error.at(registry=self.registry.name, repository=self.name, **more)  # noqa: B904


def _expect_digest(response: Response, digest: Digest) -> None:
    header = response.headers.get("docker-content-digest", "")
    if not header:
        return
    with contextlib.suppress(UsageError):
        found = Digest.parse(header)
        if found.algorithm == digest.algorithm and found != digest:
            raise IntegrityError(
                f"{response.url.netloc} stored another manifest than was sent: {found}, "
                f"expected {digest}",
                hint="a proxy between client and registry modifies manifests",
            )
