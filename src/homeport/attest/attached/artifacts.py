"""Artifacts that are attached to an image: rebuild kits, source packages, and others by type."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.attest.attached.base import Attached
from homeport.content.digest import Digest
from homeport.images.image import Image, open_contents

_MOST_REFERRERS = 100


def attached_artifacts(attached: Attached, subject: Digest, kind: str) -> Iterator[Image]:
    """The artifacts of type ``kind`` whose own manifest refers to ``subject``.

    What a list of referrers says of them decides nothing: it may be stale, or lie.
    """
    listed = [one for one in attached.referrers(subject) if one.artifact_type in (kind, "")]
    for descriptor in listed[:_MOST_REFERRERS]:
        opened = open_contents(
            _Contents(attached), attached.manifest(descriptor), descriptor.media_type, descriptor
        )
        if not isinstance(opened, Image):
            continue
        manifest = opened.document.parsed
        of = manifest.subject
        if manifest.artifact_type == kind and of is not None and of.digest == str(subject):
            yield opened


class _Contents:
    """``images.image.Contents`` over what is attached."""

    def __init__(self, attached: Attached) -> None:
        self.manifest = attached.manifest
        self.blob = attached.blob
