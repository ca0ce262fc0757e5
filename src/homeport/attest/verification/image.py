"""Verifying an image as a whole: the digest that its name led to, and every platform.

The digest that the address leads to must be signed. Signatures of platform manifests are reported
too, because skopeo and podman look at nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import collect
from homeport.attest.verification.candidate import SignedImage
from homeport.attest.verification.verify import (
    Clock,
    Requirement,
    SubjectResult,
    verify_attachments,
)
from homeport.content.digest import Digest
from homeport.content.thread_pools import Threads, run_all
from homeport.images.image import Child, Image, Index, digest_of
from homeport.oci.platform import UNKNOWN


class PlatformResult(msgspec.Struct, frozen=True, kw_only=True):
    """The signatures of one manifest; ``platform`` is empty for the index."""

    platform: str
    result: SubjectResult


class ImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an image is signed as required.

    subject:   the manifest or index that the address leads to
    platforms: of an index, every platform manifest
    required:  what must have been verified: the subject alone, or the platforms too
    builders:  how many built it, with the publisher; ``None`` if the policy does not ask
    """

    digest: str
    subject: SubjectResult
    platforms: tuple[PlatformResult, ...] = ()
    every_platform: bool = False
    builders: int | None = None

    @property
    def verified(self) -> bool:
        return self.subject.verified and not self.unsigned_required

    @property
    def unsigned(self) -> tuple[str, ...]:
        """Platforms whose manifest has no valid signature of its own."""
        return tuple(one.platform for one in self.platforms if not one.result.verified)

    @property
    def unsigned_required(self) -> tuple[str, ...]:
        """Of those, the ones that the request requires."""
        return self.unsigned if self.every_platform else ()


def verify_image(
    value: Image | Index, attached: Attached, requirement: Requirement, pool: Threads, *,
    signed_as: Sequence[str] = (), every_platform: bool = False, platforms: bool = True,
    clock: Clock | None = None,
) -> ImageResult:  # fmt: skip
    """Verify ``value``, which was opened under the digest that is verified.

    signed_as: names under which the image was signed, besides that of its repository
    platforms: whether signatures of platform manifests are looked at
    """
    more = {"clock": clock} if clock is not None else {}
    names = tuple(one for one in (attached.repository, *signed_as) if one)
    images = [SignedImage(digest=value.digest, manifest=lambda: value.document.raw,
                          repositories=names)]  # fmt: skip
    children = platform_children(value) if platforms or every_platform else []
    images += [
        SignedImage(
            digest=digest_of(child.descriptor), repositories=names,
            manifest=partial(_raw, child),
        )
        for child in children
    ]  # fmt: skip
    attestations = bool(requirement.predicates)

    def verify(image: SignedImage) -> SubjectResult:
        found = collect(attached, image.digest, attestations=attestations)
        return verify_attachments(found, image, requirement, **more)

    subject, *others = run_all(pool, [partial(verify, image) for image in images])
    return ImageResult(
        digest=str(value.digest),
        subject=subject,
        platforms=tuple(
            PlatformResult(platform=str(child.platform or ""), result=one)
            for child, one in zip(children, others, strict=True)
        ),
        every_platform=every_platform,
    )


def platform_children(value: Image | Index) -> list[Child]:
    """The platform manifests of an index, each digest once; attestations are none."""
    found: dict[Digest, Child] = {}
    for child in value.children if isinstance(value, Index) else ():
        unknown = child.platform is not None and child.platform == UNKNOWN
        if not child.attests and not unknown:
            found.setdefault(digest_of(child.descriptor), child)
    return list(found.values())


def _raw(child: Child) -> bytes:
    return child.open().document.raw
