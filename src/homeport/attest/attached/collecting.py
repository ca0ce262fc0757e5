"""Everything attached to one image that may be a signature or an attestation of it.

Read, bounded and sorted into forms; nothing is believed yet. Lists of referrers may lie about
types and omit annotations, so manifests are opened; only one whose own ``subject`` is the image
counts (GHCR answers the fallback tag with the image itself).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from homeport.attest import bundle, dsse, simple_signing
from homeport.attest.attached.base import Attached
from homeport.content.blob import read_verified
from homeport.content.digest import Digest
from homeport.errors import HomeportError, Interrupted
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, read_manifest_or_index
from homeport.quantities import apart, human_size
from homeport.registry.referrers import fallback_tag

Form = Literal["legacy", "legacy-attestation", "bundle"]

#: How many referrers of one image are opened, and how many signatures a legacy tag may hold.
REFERRER_LIMIT = 100
LAYER_LIMIT = 1000
#: Bytes of one signature, of one attestation, and of all that is attached to one image.
SIGNATURE_SIZE = 1 << 20
ATTESTATION_SIZE = 40 << 20
TOTAL_SIZE = 128 << 20
_LIKELY = (bundle.MEDIA_TYPE, "", media_types.OCI_EMPTY)


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """One layer that may be a signature or attestation of the image.

    artifact: the manifest that holds it
    problem:  why its content could not be read; then ``content`` is empty
    """

    form: Form
    artifact: str
    content: bytes = b""
    annotations: dict[str, str] = {}
    problem: str = ""


class _Budget:
    """Bytes that may still be read for one image."""

    def __init__(self) -> None:
        self.left = TOTAL_SIZE

    def take(self, size: int, limit: int) -> str:
        """Why ``size`` bytes are not read, or ``""``."""
        if size > limit:
            found, most = apart(size, limit)
            return f"not read: {found}, more than {most}"
        if size > self.left:
            return f"not read: the image's attachments are larger than {human_size(TOTAL_SIZE)}"
        self.left -= size
        return ""


def collect(attached: Attached, digest: Digest, *, attestations: bool) -> list[Attachment]:
    """What is attached to ``digest``; without ``attestations`` only what may be a signature.

    What cannot be read is part of the result, with its problem. Raises what reading the lists
    raises.
    """
    budget = _Budget()
    found = list(_tagged(attached, digest, ".sig", "legacy", budget))
    if attestations:
        found += _tagged(attached, digest, ".att", "legacy-attestation", budget)
    size = ATTESTATION_SIZE if attestations else SIGNATURE_SIZE
    return [*found, *_bundles(attached, digest, size, budget)]


_LAYERS: dict[Form, tuple[str, int]] = {
    "legacy": (simple_signing.MEDIA_TYPE, SIGNATURE_SIZE),
    "legacy-attestation": (dsse.MEDIA_TYPE, ATTESTATION_SIZE),
}


def legacy_tag(digest: Digest, suffix: str) -> str:
    """The tag under which cosign keeps what is attached to ``digest``: ``sha256-HEX.sig``."""
    return fallback_tag(digest) + suffix


def _tagged(
    attached: Attached, digest: Digest, suffix: str, form: Form, budget: _Budget
) -> Iterator[Attachment]:
    tag = legacy_tag(digest, suffix)
    found = attached.tagged(tag)
    if found is None:
        return
    media_type, size = _LAYERS[form]
    try:
        document = read_manifest_or_index(found.raw, found.media_type)
    except HomeportError as error:
        yield Attachment(form=form, artifact=tag, problem=error.what)
        return
    if not isinstance(document.parsed, Manifest):
        return
    layers = [one for one in document.parsed.layers if one.media_type == media_type]
    artifact = str(document.digest)
    if len(layers) > LAYER_LIMIT:
        problem = f"not read: {len(layers)} signatures, more than {LAYER_LIMIT}"
        yield Attachment(form=form, artifact=artifact, problem=problem)
        return
    for layer in layers:
        yield _read(attached, layer, budget, form=form, artifact=artifact, size=size)


def _bundles(
    attached: Attached, digest: Digest, size: int, budget: _Budget
) -> Iterator[Attachment]:
    listed = sorted(attached.referrers(digest), key=lambda one: one.artifact_type not in _LIKELY)
    for one in listed[:REFERRER_LIMIT]:
        yield from _bundles_of(attached, digest, one, size, budget)
    if len(listed) > REFERRER_LIMIT:
        yield Attachment(
            form="bundle", artifact=str(digest),
            problem=f"{len(listed)} referrers, of which {REFERRER_LIMIT} were read",
        )  # fmt: skip


def _bundles_of(
    attached: Attached, digest: Digest, listed: Descriptor, size: int, budget: _Budget
) -> Iterator[Attachment]:
    try:
        raw = attached.manifest(listed)
        document = read_manifest_or_index(raw, "", listed.parsed_digest)
    except Interrupted:
        raise
    except HomeportError as error:
        if bundle.is_bundle(listed.artifact_type):
            yield Attachment(form="bundle", artifact=listed.digest, problem=error.what)
        return
    if not isinstance(document.parsed, Manifest):
        return
    layers = [one for one in document.parsed.layers if bundle.is_bundle(one.media_type)]
    if not layers:
        return
    subject = document.parsed.subject
    if subject is None or subject.digest != str(digest):
        named = subject.digest if subject else "no image"
        problem = f"its manifest refers to {named}, not to {digest}"
        yield Attachment(form="bundle", artifact=listed.digest, problem=problem)
        return
    for layer in layers[:LAYER_LIMIT]:
        yield _read(attached, layer, budget, form="bundle", artifact=listed.digest, size=size)


def _read(
    attached: Attached, layer: Descriptor, budget: _Budget, *, form: Form, artifact: str, size: int
) -> Attachment:
    problem, content = budget.take(layer.size, size), b""
    if not problem:
        try:
            content = read_verified(attached.blob(layer), size, "the attachment")
        except Interrupted:
            raise
        except HomeportError as error:
            problem = error.what
    return Attachment(
        form=form, artifact=artifact, content=content, annotations=layer.annotations,
        problem=problem,
    )  # fmt: skip
