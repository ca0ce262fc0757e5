"""One repository and every host that it can be read from: mirrors first, the registry last.

A mirror is used for what ``hosts.toml`` says that it may do (its capabilities):

    pull       manifests and blobs by digest
    resolve    what a tag points to, and which tags there are
    referrers  what refers to a digest

Content that is requested by digest is verified, so a mirror can withhold it but not replace it.
What a tag points to cannot be verified: a mirror without ``resolve`` never decides it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import HomeportError, IntegrityError, TooLarge
from homeport.net.errors import DeadlinePassed, NetError
from homeport.oci.documents import Descriptor
from homeport.progress import Progress
from homeport.registry.errors import RegistryError
from homeport.registry.referrers import Report, referrers
from homeport.registry.repository import Received, Repository

T = TypeVar("T")


class MirrorRepository(msgspec.Struct, frozen=True, kw_only=True):
    """The repository as a mirror has it, and what the mirror may be used for."""

    repository: Repository
    capabilities: frozenset[str]


class RepositorySources(msgspec.Struct, frozen=True, kw_only=True):
    """Reads a repository from the first host that can serve it.

    origin: the repository in the registry itself, whose error counts when every host fails
    report: told which host served, and why a mirror did not, where there are mirrors
    """

    origin: Repository
    mirrors: tuple[MirrorRepository, ...] = ()
    report: Callable[[str], None] = lambda _text: None

    def __str__(self) -> str:
        return str(self.origin)

    def manifest(self, reference: str | Digest, *, suggest: bool = True) -> Received:
        """The manifest or index under a tag or digest (``Repository.manifest``)."""
        if isinstance(reference, str) and self._mirrors_differ:
            reference = self.manifest_digest(reference) or reference
            if isinstance(reference, str):  # not found; the registry's own error says more
                return self.origin.manifest(reference, suggest=suggest)
        return self._first(
            "pull" if isinstance(reference, Digest) else "resolve",
            lambda mirror: mirror.manifest(reference, suggest=False),
            lambda origin: origin.manifest(reference, suggest=suggest),
        )

    def manifest_digest(self, reference: str | Digest) -> Digest | None:
        """Which digest a tag has (``None``: there is none)."""
        return self._first(
            "pull" if isinstance(reference, Digest) else "resolve",
            lambda repository: repository.manifest_digest(reference),
        )

    def tags(self, *, limit: int | None = None) -> list[str]:
        """The tags. A mirror without any may not know the repository yet: the next is asked."""
        return self._first("resolve", lambda repository: list(repository.tags(limit=limit)))

    def referrers(
        self, subject: Digest, *, with_tag: bool = False,
        report: Report = None,
    ) -> list[Descriptor]:  # fmt: skip
        """What refers to ``subject`` (``registry.referrers``); a mirror may not know them."""
        return self._first(
            "referrers",
            lambda repository: referrers(repository, subject, with_tag=with_tag, report=report),
        )

    def fetch_blob(
        self, descriptor: Descriptor, store: Store, *, progress: Progress | None = None
    ) -> Blob:
        """The blob, verified, in ``store`` (``Repository.fetch_blob``)."""
        found = store.get(descriptor.parsed_digest, descriptor.size)
        if found is not None:
            return found
        return self._first(
            "pull", lambda source: source.fetch_blob(descriptor, store, progress=progress)
        )

    def fetch_blob_of_unknown_size(
        self, digest: Digest, store: Store, *, progress: Progress | None = None
    ) -> Blob:
        """The blob with that digest, verified, in ``store``."""
        found = store.get(digest)
        if found is not None:
            return found
        return self._first(
            "pull",
            lambda source: source.fetch_blob_of_unknown_size(digest, store, progress=progress),
        )

    @property
    def _mirrors_differ(self) -> bool:
        """Whether some mirror may not both resolve and pull, so that a tag is resolved first."""
        both = {"pull", "resolve"}
        return any(0 < len(both & mirror.capabilities) < len(both) for mirror in self.mirrors)

    def _first(
        self,
        capability: str,
        read: Callable[[Repository], T],
        read_origin: Callable[[Repository], T] | None = None,
    ) -> T:
        """What the first host gives that can be read and has any; else the registry's answer."""
        for mirror in self.mirrors:
            if capability not in mirror.capabilities:
                continue
            try:
                found = read(mirror.repository)
            except DeadlinePassed:
                raise
            except (NetError, RegistryError, IntegrityError, TooLarge) as error:
                self._passed_over(mirror.repository, error)
                continue
            if found:
                self._served_by(mirror.repository)
                return found
        found = (read_origin or read)(self.origin)
        self._served_by(self.origin)
        return found

    def _passed_over(self, repository: Repository, error: HomeportError) -> None:
        host = repository.registry.endpoint.host
        self.report(f"{self.origin}: not read from the mirror {host}: {error.what}")

    def _served_by(self, repository: Repository) -> None:
        if self.mirrors:
            self.report(f"{self.origin}: read from {repository.registry.endpoint.host}")
