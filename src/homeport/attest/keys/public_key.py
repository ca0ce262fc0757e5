"""Public keys: reading them, and verifying signatures with them.

The algorithms that cosign verifies by default; SHA-1, small RSA keys and other curves are
rejected. Certificates have their keys in ``sigstore.certificate``.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from homeport.attest.errors import BadKey

#: Key types that this module verifies with.
AnyPublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_RSA_BITS = range(2048, 8193)
_CURVES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256, "secp384r1": hashes.SHA384, "secp521r1": hashes.SHA512,
}  # fmt: skip


class PublicKey(msgspec.Struct, frozen=True):
    """A key that signatures are verified with.

    spki: its DER form (RFC 5280, SubjectPublicKeyInfo), which identifies it
    """

    key: Any
    spki: bytes

    def __eq__(self, other: object) -> bool:
        return self.spki == other.spki if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.spki)

    @property
    def hint(self) -> str:
        """How bundles name the key: base64 of the SHA-256 of its DER form."""
        return base64.b64encode(hashlib.sha256(self.spki).digest()).decode()

    @property
    def fingerprint(self) -> str:
        """How people compare keys: ``sha256:`` and hexadecimal digits."""
        return f"sha256:{hashlib.sha256(self.spki).hexdigest()}"

    @property
    def pem(self) -> bytes:
        """The key as PEM, as other tools read it."""
        return bytes(
            self.key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def has_signed(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` over ``data`` is valid.

        P-384 and P-521 are tried with the hash of the curve, then with SHA-256, which cosign 2
        uses for every curve. Ed25519 is pure; cosign 3's own Ed25519ph is not verified.
        """
        return any(_verifies(self.key, signature, data, hash) for hash in _hashes(self.key))


def public_key(key: Any, what: str = "the key") -> PublicKey:
    """A key of ``cryptography`` as ours. Raises ``BadKey`` for unsupported types and sizes."""
    if not isinstance(key, AnyPublicKey):
        raise BadKey(f"{what} has an unsupported type, {type(key).__name__}")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise BadKey(f"{what} uses the unsupported curve {key.curve.name}")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size not in _RSA_BITS:
        raise BadKey(f"{what} is an RSA key of {key.key_size} bits; 2048 to 8192 are supported")
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(key, spki)


def read_public_key(data: bytes, what: str = "the key") -> PublicKey:
    """Read a PEM file. Raises ``BadKey``, which says so if it is a private key."""
    if b"PRIVATE KEY-----" in data:
        raise BadKey(
            f"{what} is a private key; verification requires the public key",
            hint="pass the .pub file that was written beside it",
        )
    try:
        return public_key(serialization.load_pem_public_key(data), what)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(
            f"{what} is not a public key in PEM form",
            hint="it must begin with -----BEGIN PUBLIC KEY-----",
        ) from error


def decode_public_key(der: bytes, what: str) -> PublicKey:
    """Read a DER form (SubjectPublicKeyInfo, or PKCS #1 for RSA). Raises ``BadKey``."""
    try:
        return public_key(serialization.load_der_public_key(der), what)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{what} is not a valid key") from error


def _hashes(key: Any) -> tuple[hashes.HashAlgorithm, ...]:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return (hashes.SHA256(),)
    own = _CURVES[key.curve.name]()
    return (own,) if isinstance(own, hashes.SHA256) else (own, hashes.SHA256())


def _verifies(key: Any, signature: bytes, data: bytes, hash: hashes.HashAlgorithm) -> bool:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(hash))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, padding.PKCS1v15(), hash)
    except InvalidSignature:
        return False
    return True
