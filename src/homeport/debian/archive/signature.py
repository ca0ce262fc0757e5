"""Checking OpenPGP signatures of an archive's release files.

Returns only text that a trusted key has signed; a file with anything beside it is
rejected. One valid signature by one trusted key is enough, as it is for apt: archives
sign with old and new keys at once. Not for choosing the trusted keys
(``debian.archive.keyring``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
import pysequoia
from pysequoia.packet import HashAlgorithm, PacketPile, PublicKeyAlgorithm, Tag

from homeport.debian.archive.key_lifetimes import SigningKey, tag_of
from homeport.debian.archive.keyring import Keyring
from homeport.errors import IntegrityError

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"
_MAX_SIGNATURES = 16  # Debian's files have up to 3
#: MD5, SHA-1 and RIPEMD-160 can be forged; apt 3 rejects SHA-224 and DSA, too.
_WEAK_DIGESTS = (
    HashAlgorithm.MD5,
    HashAlgorithm.SHA1,
    HashAlgorithm.RipeMD,
    HashAlgorithm.SHA224,
)


class BadSignature(IntegrityError):
    """A release file is not signed by a key that its suite trusts."""

    id = "bad-signature"


class NotSigned(BadSignature):
    """There is no signature at all."""

    id = "not-signed"


class SignedText(msgspec.Struct, frozen=True, kw_only=True):
    """Text that a trusted key has signed, and the keys with a valid signature."""

    text: bytes
    keys: tuple[SigningKey, ...]

    @property
    def signers(self) -> tuple[str, ...]:
        """The primary fingerprints of the keys."""
        return tuple(dict.fromkeys(key.certificate for key in self.keys))


class _Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Unverified fields of a signature packet.

    weak: the algorithm that can be forged, or that apt rejects, if it uses one
    """

    packet: bytes
    issuer: str
    made: datetime | None
    weak: str | None


def verify_clearsigned(data: bytes, keyring: Keyring) -> SignedText:
    """The signed text of an ``InRelease`` file. Raises ``BadSignature``.

    Text before, after or between the signed part and its signature is refused: OpenPGP
    tools skip it, so a program that reads the whole file would read unsigned text.
    """
    block = _signature_block(data)
    signed_part = data[: data.index(block)]

    def verify(packet: bytes) -> pysequoia.Decrypted:
        alone = pysequoia.armor(packet, kind=pysequoia.ArmorKind.Signature).encode()
        return pysequoia.verify(bytes=signed_part + alone, store=lambda _: _certificates(keyring))

    return _verified(_claims(block), keyring, verify)


def verify_detached(data: bytes, signature: bytes, keyring: Keyring) -> SignedText:
    """``data`` itself, if ``signature`` (``Release.gpg``) is valid. Raises ``BadSignature``."""

    def verify(packet: bytes) -> pysequoia.Decrypted:
        return pysequoia.verify(
            bytes=data,
            store=lambda _: _certificates(keyring),
            signature=pysequoia.Sig.from_bytes(packet),
        )

    signed = _verified(_claims(signature), keyring, verify)
    return SignedText(text=data, keys=signed.keys)


def _verified(
    claims: list[_Claim], keyring: Keyring, verify: Callable[[bytes], pysequoia.Decrypted]
) -> SignedText:
    """The text and the keys of valid signatures: each alone, so that no weak one counts."""
    text: bytes | None = None
    keys: dict[SigningKey, None] = {}
    for claim in claims:
        if claim.weak is not None:
            continue
        try:
            result = verify(claim.packet)
        except (RuntimeError, ValueError):
            continue  # another signature may be valid
        text = bytes(result.bytes or b"")
        for valid in result.valid_sigs:
            key = SigningKey(certificate=valid.certificate.upper(), key=valid.signing_key.upper())
            if keyring.accepts(key.certificate, key.key):
                keys[key] = None
    if not keys or text is None:
        raise _error_for(claims, keyring)
    return SignedText(text=text, keys=tuple(keys))


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
    if len(packets) > _MAX_SIGNATURES:
        raise BadSignature(f"the release file has more than {_MAX_SIGNATURES} signatures")
    claims = []
    for packet in packets:
        try:
            issuer = packet.issuer_fingerprint or packet.issuer_key_id or "?"
            made = packet.signature_created
            data = bytes(packet)
            claims.append(
                _Claim(packet=data, issuer=issuer.upper(), made=made, weak=_weakness(data))
            )
        except (RuntimeError, ValueError, OverflowError):
            continue  # parsed, but of a kind that Sequoia does not know; another may be valid
    if not claims:
        raise BadSignature("the signature cannot be parsed")
    return claims


def _weakness(packet: bytes) -> str | None:
    """The weak algorithm of a signature, if it has one. Sequoia rejects weak keys itself."""
    signature = pysequoia.Sig.from_bytes(packet)
    if signature.hash_algorithm in _WEAK_DIGESTS:
        return str(signature.hash_algorithm).rpartition(".")[2]
    if signature.key_algorithm == PublicKeyAlgorithm.DSA:
        return "DSA"
    return None


def _certificates(keyring: Keyring) -> list[pysequoia.Cert]:
    return [pysequoia.Cert.from_bytes(certificate) for certificate in keyring.certificates]


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
    if all(claim.weak for claim in known_claims):
        return BadSignature(
            f"the signature by {known_claims[0].issuer} uses {known_claims[0].weak}, which is weak",
            hint="the archive must sign with SHA-256 or better, and with RSA or an elliptic curve",
        )
    return BadSignature(
        f"the signature by {known_claims[0].issuer} does not match the text",
        hint="the file was modified or is damaged; try another mirror",
    )
