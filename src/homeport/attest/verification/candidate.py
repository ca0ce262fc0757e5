"""One signature or attestation as it was found: what is signed, by what, and what it claims.

All forms become one shape, so that one set of rules verifies them. The claim is read after the
signature over it has been verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from homeport.attest import base64_text, bundle, dsse, simple_signing, statement, strict_json
from homeport.attest.attached.collecting import Attachment, Form
from homeport.attest.bundle import LogEntry
from homeport.attest.errors import BadSignature
from homeport.attest.sigstore.certificate import (
    Certificate,
    read_certificate,
    read_pem_certificate,
)
from homeport.content.digest import Digest

_SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
_CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"
_ENTRY_ANNOTATION = "dev.sigstore.cosign/bundle"
_TIMESTAMP_ANNOTATION = "dev.sigstore.cosign/rfc3161timestamp"


class SignedImage(msgspec.Struct, frozen=True, kw_only=True):
    """The image that must have been signed.

    manifest:     gives its bytes
    repositories: the names under which a legacy signature may have been made; none: any
    """

    digest: Digest
    manifest: Callable[[], bytes]
    repositories: tuple[str, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified signature says of the image.

    predicate_type: ``statement.SIGNATURE`` if it signs the image and says nothing more
    """

    predicate_type: str
    predicate: Any = None
    reference: str = ""
    annotations: dict[str, str] = {}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A signature, not yet verified.

    message:      the bytes that are signed
    payload:      the statement, ``None`` for a legacy signature
    legacy_entry: the log entry of a legacy signature, as JSON
    read_claim:   reads what is signed and requires that it is about the image
    """

    form: Form
    message: bytes
    signature: bytes
    read_claim: Callable[[], Claim]
    payload: bytes | None = None
    certificate: Certificate | None = None
    entries: tuple[LogEntry, ...] = ()
    legacy_entry: str = ""
    timestamps: tuple[bytes, ...] = ()


def read_candidate(attachment: Attachment, image: SignedImage) -> Candidate:
    """Read an attachment. Raises ``BadSignature``."""
    if attachment.problem:
        raise BadSignature(attachment.problem)
    if attachment.form == "legacy":
        return _legacy(attachment, image)
    if attachment.form == "legacy-attestation":
        return _legacy_attestation(attachment, image)
    return _bundle(attachment, image)


def _legacy(attachment: Attachment, image: SignedImage) -> Candidate:
    annotations, payload = attachment.annotations, attachment.content
    signature = base64_text.decode(annotations.get(_SIGNATURE_ANNOTATION, ""), "the signature")

    def claim() -> Claim:
        reference, optional = simple_signing.check_payload(
            payload, image.digest, image.repositories
        )
        return Claim(predicate_type=statement.SIGNATURE, reference=reference, annotations=optional)

    return Candidate(
        form="legacy", message=payload, signature=signature, read_claim=claim,
        **_legacy_material(annotations),
    )  # fmt: skip


def _legacy_attestation(attachment: Attachment, image: SignedImage) -> Candidate:
    opened = dsse.open_envelope(dsse.read_envelope(attachment.content))
    return Candidate(
        form="legacy-attestation", message=opened.signed, signature=opened.signature,
        payload=opened.payload, read_claim=lambda: _statement_claim(opened.payload, image),
        **_legacy_material(attachment.annotations),
    )  # fmt: skip


def _bundle(attachment: Attachment, image: SignedImage) -> Candidate:
    found = bundle.read_bundle(attachment.content)
    assert found.dsse_envelope is not None
    opened = dsse.open_envelope(found.dsse_envelope)
    material = found.verification_material
    der, stamps = bundle.certificate_der(found), material.timestamp_verification_data
    return Candidate(
        form="bundle", message=opened.signed, signature=opened.signature, payload=opened.payload,
        read_claim=lambda: _statement_claim(opened.payload, image),
        certificate=read_certificate(der) if der is not None else None,
        entries=material.tlog_entries,
        timestamps=tuple(
            base64_text.decode(one.signed_timestamp, "the time stamp")
            for one in (stamps.rfc3161_timestamps if stamps else ())
        ),
    )  # fmt: skip


def _statement_claim(payload: bytes, image: SignedImage) -> Claim:
    found = statement.read_statement(payload)
    statement.check_subject(found, image.digest, image.manifest)
    annotations = next(
        (one.annotations for one in found.subject if image.digest.hex in one.digest.values()), {}
    )
    return Claim(
        predicate_type=found.predicate_type,
        predicate=found.predicate,
        annotations={key: str(value) for key, value in annotations.items()},
    )


def _legacy_material(annotations: dict[str, str]) -> dict[str, Any]:
    """What cosign keeps as annotations of the layer."""
    pem, stamp = annotations.get(_CERTIFICATE_ANNOTATION), annotations.get(_TIMESTAMP_ANNOTATION)
    return {
        "certificate": read_pem_certificate(pem) if pem else None,
        "legacy_entry": annotations.get(_ENTRY_ANNOTATION, ""),
        "timestamps": (_legacy_timestamp(stamp),) if stamp else (),
    }


class _LegacyTimestamp(msgspec.Struct):
    signed: str = msgspec.field(name="SignedRFC3161Timestamp")


_TIMESTAMP = strict_json.Reader(_LegacyTimestamp)


def _legacy_timestamp(text: str) -> bytes:
    found = _TIMESTAMP.decode(text.encode(), "the time stamp")
    return base64_text.decode(found.signed, "the time stamp")
