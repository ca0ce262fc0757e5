"""What is attached to images of a layout, told as a registry tells it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from homeport.attest.attached.base import Attached
from homeport.content.digest import Digest
from homeport.oci.documents import Descriptor, Manifest, read_manifest_or_index


class ListedAttachments:
    """Lists what is attached where no registry keeps a list; each manifest is opened."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    def referrers(self, subject: Digest) -> Iterator[Descriptor]:
        """What says itself that it refers to ``subject``, with its own type."""
        for descriptor in self._attached.referrers(subject):
            raw = self._attached.manifest(descriptor)
            parsed = read_manifest_or_index(raw, descriptor.media_type).parsed
            if (
                isinstance(parsed, Manifest)
                and parsed.subject is not None
                and parsed.subject.digest == str(subject)
            ):
                yield msgspec.structs.replace(
                    descriptor,
                    artifact_type=parsed.artifact_type or parsed.config.media_type,
                    annotations=parsed.annotations,
                )

    def manifest_digest(self, tag: str) -> Digest | None:
        """The digest under a tag, ``None`` if there is none."""
        found = self._attached.tagged(tag)
        return Digest.of(found.raw) if found is not None else None
