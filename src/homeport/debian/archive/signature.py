"""Checking OpenPGP signatures of an archive's release files.

Returns only text that a trusted key has signed; a file with anything beside it is
rejected. One valid signature by one trusted key is enough, as it is for apt: archives
sign with old and new keys at once. Not for choosing the trusted keys
(``debian.archive.keyring``).
"""

from __future__ import annotations

from datetime import datetime

import msgspec
import pysequoia
from pysequoia.packet import PacketPile, Tag

from homeport.debian.archive.keyring import Keyring, tag_of
from homeport.errors import IntegrityError

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


class BadSignature(IntegrityError):
    """A release file is not signed by a key that its suite trusts."""

    id = "bad-signature"


class NotSigned(BadSignature):
    """There is no signature at all."""

    id = "not-signed"


class SignedText(msgspec.Struct, frozen=True, kw_only=True):
    """Text that a trusted key has signed, and the primary fingerprints of those keys."""

    text: bytes
    signers: tuple[str, ...]


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Unverified fields of a signature packet."""

    packet: bytes
    issuer: str
    made: datetime | None


def verify_clearsigned(data: bytes, keyring: Keyring) -> SignedText:
    """The signed text of an ``InRelease`` file. Raises ``BadSignature``.

    Text before, after or between the signed part and its signature is refused: OpenPGP
    tools skip it, so a program that reads the whole file would read unsigned text.
    """
    claims = _claims(_signature_block(data))
    try:
        result = pysequoia.verify(bytes=data, store=lambda _: _certificates(keyring))
    except (RuntimeError, ValueError) as error:
        raise _error_for(claims, keyring) from error
    signers = _signers([result], keyring)
    if not signers or result.bytes is None:
        raise _error_for(claims, keyring)
    return SignedText(text=bytes(result.bytes), signers=signers)


def verify_detached(data: bytes, signature: bytes, keyring: Keyring) -> SignedText:
    """``data`` itself, if ``signature`` (``Release.gpg``) is valid. Raises ``BadSignature``."""
    claims = _claims(signature)
    good = []
    for claim in claims:
        try:
            sig = pysequoia.Sig.from_bytes(claim.packet)
            good.append(
                pysequoia.verify(bytes=data, store=lambda _: _certificates(keyring), signature=sig)
            )
        except (RuntimeError, ValueError):
            continue  # another signature may be valid
    signers = _signers(good, keyring)
    if not signers:
        raise _error_for(claims, keyring)
    return SignedText(text=data, signers=signers)


def _signature_block(data: bytes) -> bytes:
    """The armoured signature of a clear-signed file without other content."""
    if not data.startswith(_BEGIN):
        if _BEGIN in data:
            raise BadSignature("text precedes the signed part")
        raise NotSigned("the release file is not signed")
    lines = data.splitlines()
    if lines.count(_BEGIN) != 1 or lines.count(_SIGNATURE) != 1 or lines.count(_END) != 1:
        raise BadSignature("the release file is not one complete signed message")
    begin, end = data.index(b"\n" + _SIGNATURE) + 1, data.index(b"\n" + _END) + 1
    if end < begin:
        raise BadSignature("the release file is not one complete signed message")
    end += len(_END)
    if data[end:].strip():
        raise BadSignature("text follows the signed part")
    return data[begin:end]


def _claims(signature: bytes) -> list[_Claim]:
    try:
        packets = [p for p in PacketPile.from_bytes(signature) if tag_of(p) == Tag.Signature]
    except (RuntimeError, ValueError) as error:
        raise BadSignature("the signature cannot be parsed") from error
    if not packets:
        raise NotSigned("the release file is not signed")
    claims = []
    for packet in packets:
        try:
            issuer = packet.issuer_fingerprint or packet.issuer_key_id or "?"
            made = packet.signature_created
            claims.append(_Claim(packet=bytes(packet), issuer=issuer.upper(), made=made))
        except (RuntimeError, ValueError, OverflowError):
            continue  # parsed, but of a kind that Sequoia does not know; another may be valid
    if not claims:
        raise BadSignature("the signature cannot be parsed")
    return claims


def _certificates(keyring: Keyring) -> list[pysequoia.Cert]:
    return [pysequoia.Cert.from_bytes(certificate) for certificate in keyring.certificates]


def _signers(results: list[pysequoia.Decrypted], keyring: Keyring) -> tuple[str, ...]:
    good = [
        (valid.certificate.upper(), valid.signing_key.upper())
        for result in results
        for valid in result.valid_sigs
    ]
    return tuple(dict.fromkeys(cert for cert, key in good if keyring.accepts(cert, key)))


def _error_for(claims: list[_Claim], keyring: Keyring) -> BadSignature:
    """The likely reason why no signature is valid, from the unverified fields."""
    known = {key[-16:] for keys in keyring.all_keys for key in keys}
    known_claims = [claim for claim in claims if claim.issuer[-16:] in known]
    trusted = ", ".join(keyring.fingerprints) or "no key"
    if not known_claims or keyring.only:
        signers = ", ".join(claim.issuer for claim in claims)
        return BadSignature(
            f"signed by {signers}, but the suite trusts only {trusted} ({keyring.name})",
            hint="if the key is right, add it to 'keys' of the archive in the recipe",
        )
    now = datetime.now(tz=known_claims[0].made.tzinfo) if known_claims[0].made else None
    if now and known_claims[0].made and known_claims[0].made > now:
        return BadSignature(
            f"its signature was made on {known_claims[0].made:%Y-%m-%d %H:%M} UTC, in the future",
            hint="set this machine's clock",
        )
    return BadSignature(
        f"the signature by {known_claims[0].issuer} does not match the text",
        hint="the file was modified or is damaged; try another mirror",
    )
