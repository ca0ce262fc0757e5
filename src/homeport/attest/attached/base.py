"""Where signatures and attestations of an image are kept, to be read and written.

Siblings: ``registry`` and ``layout``. They move bytes; what the bytes prove is decided in
``verification``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from homeport.attest.errors import BadSignature
from homeport.content.blob import Blob
from homeport.content.digest import Digest
from homeport.images.image import Image, Index
from homeport.oci.documents import Descriptor


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest that a tag points to."""

    raw: bytes
    media_type: str


class Attached(Protocol):
    """What is attached to the images of one repository or layout. Safe to use from threads."""

    @property
    def repository(self) -> str:
        """``HOST/REPOSITORY``; empty for a layout, which has no name."""

    def tagged(self, tag: str) -> Tagged | None:
        """The manifest under a tag, ``None`` if there is none."""

    def referrers(self, subject: Digest) -> list[Descriptor]:
        """Everything that is listed as referring to ``subject``, wherever such a list is."""

    def manifest(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest; the caller checks them."""

    def blob(self, descriptor: Descriptor) -> Blob:
        """A blob, checked when it is read."""

    def write_referrers(self, values: Sequence[Image]) -> None:
        """Store artifacts and list them under their subjects. Idempotent."""

    def change_tagged(self, tag: str, change: Callable[[Image | None], Image]) -> None:
        """Replace the artifact under a tag, ``None`` if there is none, by what ``change`` makes.

        Safe beside other writers: ``change`` is called again if another one was faster.
        """


def require_artifact(value: Image | Index, tag: str) -> Image:
    """The artifact under a tag of signatures. Raises ``BadSignature`` if an index is there."""
    if not isinstance(value, Image):
        raise BadSignature(
            f"the tag {tag} holds an index, expected signatures", hint="delete or rename that tag"
        )
    return value
