"""DSSE envelopes, which carry statements (secure-systems-lab/dsse, protocol.md)."""

from __future__ import annotations

import msgspec

from homeport.attest import base64_text, strict_json
from homeport.attest.errors import BadSignature
from homeport.attest.keys.private_key import PrivateKey

IN_TOTO = "application/vnd.in-toto+json"
MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"


class EnvelopeSignature(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True
):
    """One signature; ``keyid`` is a hint that nothing may rest on."""

    sig: str
    keyid: str = ""


class Envelope(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """A signed payload, all of it base64."""

    payload: str
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]


_ENVELOPE = strict_json.Reader(Envelope)


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope's content.

    payload:   the statement's bytes
    signed:    the bytes that are signed (``pae``)
    signature: the one signature
    """

    payload: bytes
    signed: bytes
    signature: bytes


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding, which is what is signed."""
    type = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(type), type, len(payload), payload)


def seal(key: PrivateKey, payload: bytes) -> Envelope:
    """Sign an in-toto statement."""
    return Envelope(
        payload=base64_text.encode(payload),
        payload_type=IN_TOTO,
        signatures=(EnvelopeSignature(base64_text.encode(key.sign(pae(IN_TOTO, payload)))),),
    )


def read_envelope(raw: bytes) -> Envelope:
    """Read an envelope that stands alone, as in a legacy attestation."""
    return _ENVELOPE.decode(raw, "the envelope")


def open_envelope(envelope: Envelope) -> Opened:
    """The content of an envelope, not yet verified. Raises ``BadSignature``.

    Exactly one signature: of several, readers verify different ones.
    """
    if envelope.payload_type != IN_TOTO:
        raise BadSignature(f"the payload type is {envelope.payload_type!r}, expected {IN_TOTO}")
    if len(envelope.signatures) != 1:
        raise BadSignature(f"the envelope has {len(envelope.signatures)} signatures, expected 1")
    payload = base64_text.decode(envelope.payload, "the payload")
    if not payload:
        raise BadSignature("the payload is empty")
    signature = base64_text.decode(envelope.signatures[0].sig, "the signature")
    return Opened(payload=payload, signed=pae(envelope.payload_type, payload), signature=signature)
