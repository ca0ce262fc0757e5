"""Until when an archive's signing key is trusted: expiry and revocation, from its certificate.

OpenPGP judges a signature at the time that the signature itself states. An attacker with an
expired or retired key can choose that time, so a key's end is judged by the clock too, as
gpgv does for apt. The certificate comes from the recipe or from Homeport, not from a mirror.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import pysequoia
from pysequoia.packet import PacketPile, SignatureType, Tag


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """Upper-case fingerprints of a certificate's primary key and of the key that signed."""

    certificate: str
    key: str


class TrustEnd(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """When a key's signatures stop to count, and whether by revocation."""

    date: datetime
    revoked: bool

    def __str__(self) -> str:
        return f"{'revoked' if self.revoked else 'expired'} on {self.date:%Y-%m-%d}"


def tag_of(packet: Any) -> Any:
    """The type of a packet; ``None`` for unassigned tags."""
    try:
        return packet.tag
    except RuntimeError:
        return None


def last_trust_end(certificates: Iterable[bytes], keys: Iterable[SigningKey]) -> TrustEnd | None:
    """When the last of these signing keys ends; ``None`` if one of them never does."""
    by_fingerprint = {
        pysequoia.Cert.from_bytes(data).fingerprint.upper(): data for data in certificates
    }
    ends = [
        _trust_end(by_fingerprint[key.certificate], key)
        for key in keys
        if key.certificate in by_fingerprint
    ]
    dates = [end for end in ends if end is not None]
    return max(dates) if dates and len(dates) == len(ends) else None


def _trust_end(certificate: bytes, key: SigningKey) -> TrustEnd | None:
    """The earliest of: expiry of the primary key, of the signing key, revocation of either.

    Sequoia rejects every signature of a key that was revoked as compromised or without a
    reason. One that was superseded or retired counts until its revocation.
    """
    ends = []
    if (expiration := pysequoia.Cert.from_bytes(certificate).expiration) is not None:
        ends.append(TrustEnd(date=expiration, revoked=False))
    for owner, key_packet, signatures in _keys(certificate):
        if owner == key.certificate:
            ends += _revocations(signatures, SignatureType.KeyRevocation)
        elif owner == key.key:
            ends += _revocations(signatures, SignatureType.SubkeyRevocation)
            ends += _subkey_expiry(key_packet, signatures)
    return min(ends, default=None)


def _keys(certificate: bytes) -> Iterable[tuple[str, Any, list[Any]]]:
    """Each key: fingerprint, packet, and the signatures up to the next key."""
    found: list[tuple[str, Any, list[Any]]] = []
    for packet in PacketPile.from_bytes(certificate):
        tag = tag_of(packet)
        if tag in (Tag.PublicKey, Tag.PublicSubkey):
            found.append(((packet.fingerprint or "").upper(), packet, []))
        elif tag == Tag.Signature and found:
            found[-1][2].append(packet)
    return found


def _revocations(signatures: Iterable[Any], kind: Any) -> list[TrustEnd]:
    return [
        TrustEnd(date=packet.signature_created, revoked=True)
        for packet in signatures
        if packet.signature_type == kind and packet.signature_created is not None
    ]


def _subkey_expiry(key: Any, signatures: Iterable[Any]) -> list[TrustEnd]:
    """By the newest binding, which is how an owner extends or shortens a subkey's life."""
    bindings = [
        packet
        for packet in signatures
        if packet.signature_type == SignatureType.SubkeyBinding
        and packet.signature_created is not None
    ]
    if not bindings:
        return []
    validity = max(bindings, key=lambda packet: packet.signature_created).key_validity_period
    return [TrustEnd(date=key.key_created + validity, revoked=False)] if validity else []
