"""What a registry or a layout records about an image: referrers, and the tags that cosign makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from homeport.content.digest import Digest
from homeport.oci.documents import Descriptor

#: Suffix of a tag that cosign makes from a digest → artifact type.
_COSIGN_TAGS = (
    ("sig", "cosign signature"),
    ("att", "cosign attestation"),
    ("sbom", "cosign SBOM (cyclonedx or spdx)"),
)


class Listing(Protocol):
    """A repository, or what lists its attachments."""

    def referrers(self, subject: Digest, /) -> Iterable[Descriptor]: ...

    def manifest_digest(self, tag: str, /) -> Digest | None: ...


def referrers_in(repository: Listing) -> Callable[[str], Iterable[Descriptor]]:
    """A function that lists everything in ``repository`` that refers to a digest."""

    def find(text: str) -> Iterator[Descriptor]:
        subject = Digest.parse(text)
        yield from repository.referrers(subject)
        for suffix, type in _COSIGN_TAGS:
            found = repository.manifest_digest(f"{subject.algorithm}-{subject.hex}.{suffix}")
            if found is not None:
                yield Descriptor(media_type="", digest=str(found), size=0, artifact_type=type)

    return find
