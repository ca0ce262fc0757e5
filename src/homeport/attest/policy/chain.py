"""Images that are signed on the attestation manifest of each platform, as Docker's builder does.

index → platform manifest → attestation manifest (whose ``subject`` is the platform manifest) → its
signature. The index itself is not signed: platforms may be left out of it, none can be put in.
The rules are those of moby/policy-helpers.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from homeport.attest.attached.base import Attached
from homeport.attest.attached.collecting import collect
from homeport.attest.verification.candidate import SignedImage
from homeport.attest.verification.image import platform_children
from homeport.attest.verification.verify import (
    Clock,
    Requirement,
    SignatureResult,
    SubjectResult,
    verify_attachments,
)
from homeport.content.thread_pools import Threads, run_all
from homeport.errors import HomeportError, Interrupted
from homeport.images.image import Child, Image, Index

_ARTIFACT = "application/vnd.docker.attestation.manifest.v1+json"
_PREDICATE = "in-toto.io/predicate-type"
_SLSA = "https://slsa.dev/provenance/"


def verify_chain(
    value: Image | Index, attached: Attached, requirement: Requirement, pool: Threads, *,
    clock: Clock,
) -> SubjectResult:  # fmt: skip
    """Verify every platform of an index by its attestation manifest; the verdict on all."""
    if not isinstance(value, Index):
        return _refused(value, "it is signed on attestation manifests, which only an index lists")
    children = platform_children(value)
    if not children:
        return _refused(value, "the index lists no platform")
    results = run_all(
        pool, [partial(_verify_platform, value, one, attached, requirement, clock)
               for one in children]
    )  # fmt: skip
    return SubjectResult(
        digest=str(value.digest),
        signatures=tuple(one for result in results for one in result.signatures),
        missing=tuple(
            f"{child.platform}: {missing}"
            for child, result in zip(children, results, strict=True)
            for missing in result.missing
        ),
    )


def _verify_platform(
    index: Index, child: Child, attached: Attached, requirement: Requirement, clock: Clock
) -> SubjectResult:
    reasons: list[str] = []
    signatures: list[SignatureResult] = []
    for manifest in _attestation_manifests(index, child):
        if isinstance(manifest, str):
            reasons.append(manifest)
            continue
        image = SignedImage(digest=manifest.digest, manifest=partial(_raw, manifest))
        found = collect(attached, manifest.digest, attestations=bool(requirement.predicates))
        result = verify_attachments(found, image, requirement, clock=clock)
        if result.verified:
            return result
        reasons += result.missing
        signatures += result.signatures
    reasons = reasons or ["no attestation manifest"]
    return SubjectResult(
        digest=child.descriptor.digest, signatures=tuple(signatures), missing=tuple(reasons)
    )


def _attestation_manifests(index: Index, child: Child) -> Iterator[Image | str]:
    """Attestation manifests of a platform, or why one of them is none."""
    for entry in index.children:
        if entry.attests != child.descriptor.digest:
            continue
        try:
            manifest = entry.open()
        except Interrupted:
            raise
        except HomeportError as error:
            yield error.what
            continue
        yield _fault(manifest, child) or manifest if isinstance(manifest, Image) else "an index"


def _fault(manifest: Image, child: Child) -> str:
    """Why a manifest does not attest to the platform, or ``""``."""
    parsed, platform = manifest.document.parsed, child.descriptor
    subject = parsed.subject
    if parsed.artifact_type != _ARTIFACT or subject is None:
        return "its attestation manifest has no subject; it was built by an older builder"
    if (subject.digest, subject.size, subject.media_type) != (
        platform.digest, platform.size, platform.media_type,
    ):  # fmt: skip
        return "its attestation manifest is about another image"
    if not any(one.annotations.get(_PREDICATE, "").startswith(_SLSA) for one in parsed.layers):
        return "its attestation manifest has no provenance"
    return ""


def _refused(value: Image | Index, reason: str) -> SubjectResult:
    return SubjectResult(digest=str(value.digest), signatures=(), missing=(reason,))


def _raw(image: Image) -> bytes:
    return image.document.raw
