"""Sigstore bundles of version 0.3 (protobuf-specs, sigstore_bundle.proto) as JSON.

Read strictly: a field that is not known, or another version, is an error of its own, so that a
signature which cannot be read is never taken for none.
"""

from __future__ import annotations

import msgspec

from homeport.attest import base64_text, strict_json
from homeport.attest.dsse import Envelope
from homeport.attest.errors import BadSignature

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
#: Another spelling of the same version.
_OTHER_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle+json;version=0.3"
_PREFIX = "application/vnd.dev.sigstore.bundle"

#: Annotations of a bundle's manifest (cosign, specs/BUNDLE_SPEC.md).
CONTENT_ANNOTATION = "dev.sigstore.bundle.content"
PREDICATE_ANNOTATION = "dev.sigstore.bundle.predicateType"
CREATED_ANNOTATION = "org.opencontainers.image.created"


class _Shape(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True,
    forbid_unknown_fields=True,
):  # fmt: skip
    pass


class KeyHint(_Shape, frozen=True):
    """Which key it may be. Orders the tries, decides nothing."""

    hint: str | None = None


class RawBytes(_Shape, frozen=True):
    """A certificate, as base64 of its DER form."""

    raw_bytes: str


class CertificateChain(_Shape, frozen=True):
    """A chain, as bundles before 0.3 had it."""

    certificates: tuple[RawBytes, ...] = ()


class LogId(_Shape, frozen=True):
    """The log, by the digest of its key."""

    key_id: str


class KindVersion(_Shape, frozen=True):
    """The type of an entry."""

    kind: str
    version: str


class Promise(_Shape, frozen=True):
    """The log's signature over entry, time and index (SET)."""

    signed_entry_timestamp: str


class Checkpoint(_Shape, frozen=True):
    """A signed note (C2SP, tlog-checkpoint)."""

    envelope: str


class InclusionProof(_Shape, frozen=True):
    """The path from the entry to a signed root (RFC 6962)."""

    log_index: str
    root_hash: str
    tree_size: str
    hashes: tuple[str, ...] = ()
    checkpoint: Checkpoint | None = None


class LogEntry(_Shape, frozen=True):
    """An entry of a transparency log, with its proofs. Numbers are text, as in protobuf."""

    log_index: str = "0"
    log_id: LogId | None = None
    kind_version: KindVersion | None = None
    integrated_time: str | None = None
    inclusion_promise: Promise | None = None
    inclusion_proof: InclusionProof | None = None
    canonicalized_body: str = ""


class SignedTimestamp(_Shape, frozen=True):
    """A time-stamp token (RFC 3161)."""

    signed_timestamp: str


class TimestampData(_Shape, frozen=True):
    """All time-stamp tokens."""

    rfc3161_timestamps: tuple[SignedTimestamp, ...] = msgspec.field(
        default=(), name="rfc3161Timestamps"
    )


class VerificationMaterial(_Shape, frozen=True):
    """What the signature is verified with."""

    public_key: KeyHint | None = None
    certificate: RawBytes | None = None
    x509_certificate_chain: CertificateChain | None = msgspec.field(
        default=None, name="x509CertificateChain"
    )
    tlog_entries: tuple[LogEntry, ...] = ()
    timestamp_verification_data: TimestampData | None = None


class Bundle(_Shape, frozen=True):
    """A signature with all that its verification needs offline."""

    media_type: str
    verification_material: VerificationMaterial
    dsse_envelope: Envelope | None = None
    message_signature: dict[str, object] | None = None


_BUNDLE = strict_json.Reader(Bundle)


def is_bundle(media_type: str) -> bool:
    """Whether a media type is that of a bundle, of any version."""
    return media_type.startswith(_PREFIX)


def read_bundle(raw: bytes) -> Bundle:
    """Read a bundle with an envelope. Raises ``BadSignature``."""
    document = strict_json.parse(raw, "the bundle")
    media_type = document.get("mediaType") if isinstance(document, dict) else None
    if media_type not in (MEDIA_TYPE, _OTHER_MEDIA_TYPE):
        raise BadSignature(
            f"the bundle has an unknown version, {media_type!r}",
            hint="a newer homeport may read it",
        )
    try:
        bundle = _BUNDLE.convert(_without_nulls(document), "the bundle of version 0.3")
    except BadSignature as error:
        error.hint = "a newer homeport may read it"
        raise
    if bundle.dsse_envelope is None or bundle.message_signature is not None:
        raise BadSignature("the bundle signs a message; images are signed by statements")
    return bundle


def certificate_der(bundle: Bundle) -> bytes | None:
    """The leaf certificate, ``None`` for a signature with a key."""
    material = bundle.verification_material
    if material.certificate is not None:
        return base64_text.decode(material.certificate.raw_bytes, "the certificate")
    chain = material.x509_certificate_chain
    if chain is not None and chain.certificates:
        return base64_text.decode(chain.certificates[0].raw_bytes, "the certificate")
    return None


def _without_nulls(value: object) -> object:
    """protobuf's JSON: null is a field that is not there. Only where fields of ours are."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    return value
