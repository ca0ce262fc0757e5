"""Private keys: cosign's encrypted files, read and written, and plain PEM, read.

The file of cosign is PEM over JSON: scrypt makes a key of the password, secretbox encrypts the
PKCS #8 form (sigstore/sigstore, pkg/cryptoutils; go-securesystemslib, encrypted).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from homeport.attest.errors import BadKey, WrongPassword
from homeport.attest.keys.public_key import PublicKey, public_key
from homeport.attest.keys.secretbox import NONCE_SIZE, DecryptionFailed, seal, unseal

#: Asked for the password when a key is encrypted.
AskPassword = Callable[[], bytes]

_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_LABELS = (_LABEL, "ENCRYPTED COSIGN PRIVATE KEY")
_KDF, _CIPHER = "scrypt", "nacl/secretbox"
_SALT_SIZE = 32
_LINE = 64
#: Cost parameters that are accepted; others could take memory and time without bound.
_COSTS = frozenset({(32768, 8, 1), (65536, 8, 1), (131072, 8, 1)})
_MEMORY = 256 << 20  # bytes that scrypt may use; the costliest takes 128 MiB


class _Scrypt(msgspec.Struct):
    N: int
    r: int
    p: int


class _Kdf(msgspec.Struct):
    name: str
    params: _Scrypt
    salt: str


class _Cipher(msgspec.Struct):
    name: str
    nonce: str


class _Encrypted(msgspec.Struct):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: str


_ENCRYPTED_DECODER = msgspec.json.Decoder(_Encrypted)


class PrivateKey(msgspec.Struct, frozen=True):
    """A key that signs; ``repr`` shows its public half only."""

    key: Any
    public: PublicKey

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    def sign(self, data: bytes) -> bytes:
        """A signature over ``data``: ECDSA with SHA-256 (DER), pure Ed25519, RSA PKCS #1 v1.5.

        SHA-256 for every curve, because both cosigns verify that.
        """
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(data)
        return bytes(self.key.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def generate_key() -> PrivateKey:
    """A new ECDSA key on P-256, which every verifier supports."""
    return _private(ec.generate_private_key(ec.SECP256R1()), "the new key")


def read_private_key(data: bytes, ask_password: AskPassword, what: str = "the key") -> PrivateKey:
    """Read a key file: cosign's encrypted form, or PEM (PKCS #8, PKCS #1, SEC 1).

    Raises ``BadKey`` and ``WrongPassword``; a public key is named as one.
    """
    text = data.decode("ascii", "replace").strip()
    if any(text.startswith(f"-----BEGIN {label}-----") for label in _LABELS):
        der = _decrypt(text, ask_password, what)
        try:
            return _private(serialization.load_der_private_key(der, None), what)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(f"{what} holds no private key that is supported") from error
    if "PUBLIC KEY-----" in text and "PRIVATE KEY-----" not in text:
        raise BadKey(
            f"{what} is a public key; signing requires the private key",
            hint="pass the .key file that was written beside it",
        )
    encrypted = "ENCRYPTED" in text[:200]
    try:
        password = ask_password() if encrypted else None
        return _private(serialization.load_pem_private_key(data, password), what)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise WrongPassword(f"{what}: wrong password") from error
        raise BadKey(
            f"{what} is not a private key in PEM form",
            hint="homeport key generate -o PREFIX makes one",
        ) from error


def encrypt_key(key: PrivateKey, password: bytes) -> bytes:
    """The key file of cosign, with its default cost."""
    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(NONCE_SIZE)
    params = _Scrypt(N=65536, r=8, p=1)
    der = key.key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    document = _Encrypted(
        kdf=_Kdf(name=_KDF, params=params, salt=_base64(salt)),
        cipher=_Cipher(name=_CIPHER, nonce=_base64(nonce)),
        ciphertext=_base64(seal(der, nonce, _derive(password, salt, params))),
    )
    text = _base64(msgspec.json.encode(document))
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((f"-----BEGIN {_LABEL}-----", *lines, f"-----END {_LABEL}-----", "")).encode()


def _decrypt(text: str, ask_password: AskPassword, what: str) -> bytes:
    lines = text.split("\n")
    try:
        raw = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
        document = _ENCRYPTED_DECODER.decode(raw)
        salt = base64.b64decode(document.kdf.salt, validate=True)
        nonce = base64.b64decode(document.cipher.nonce, validate=True)
        box = base64.b64decode(document.ciphertext, validate=True)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise BadKey(f"{what} is damaged: {error}") from error
    params = document.kdf.params
    if document.kdf.name != _KDF or (params.N, params.r, params.p) not in _COSTS:
        raise BadKey(f"{what} is encrypted with unsupported parameters of {document.kdf.name}")
    if document.cipher.name != _CIPHER or len(nonce) != NONCE_SIZE:
        raise BadKey(f"{what} is encrypted with an unsupported cipher, {document.cipher.name}")
    try:
        return unseal(box, nonce, _derive(ask_password(), salt, params))
    except DecryptionFailed:
        raise WrongPassword(
            f"{what}: wrong password", hint="COSIGN_PASSWORD holds the password of the key"
        ) from None


def _derive(password: bytes, salt: bytes, params: _Scrypt) -> bytes:
    return hashlib.scrypt(
        password, salt=salt, n=params.N, r=params.r, p=params.p, maxmem=_MEMORY, dklen=32
    )


def _private(key: Any, what: str) -> PrivateKey:
    return PrivateKey(key, public_key(key.public_key(), what)) if _signs(key) else _reject(what)


def _signs(key: Any) -> bool:
    return isinstance(
        key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    )


def _reject(what: str) -> PrivateKey:
    raise BadKey(f"{what} is of a type that cannot sign, or is unsupported")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
