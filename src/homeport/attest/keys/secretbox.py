"""NaCl's secretbox (XSalsa20 and Poly1305), the cipher of cosign's private key files.

``cryptography`` has Poly1305 but no Salsa20, so the stream cipher is here: D. J. Bernstein,
"The Salsa20 family of stream ciphers" and "Extending the Salsa20 nonce". Only for key files of a
few hundred bytes; the tag is checked by the library before anything is decrypted.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

KEY_SIZE = 32
NONCE_SIZE = 24
_TAG_SIZE = 16
_WORD = 0xFFFFFFFF
_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
#: Quarter rounds of a double round: four columns, then four rows (Salsa20 specification, 5 to 7).
_QUARTERS = (
    (0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
    (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14),
)  # fmt: skip


class DecryptionFailed(Exception):
    """The tag does not fit: another key, or other bytes."""


def seal(message: bytes, nonce: bytes, key: bytes) -> bytes:
    """Encrypt and authenticate ``message``: the tag, then the ciphertext."""
    stream = _xsalsa20(key, nonce, KEY_SIZE + len(message))
    sealed = _xor(message, stream[KEY_SIZE:])
    return Poly1305.generate_tag(stream[:KEY_SIZE], sealed) + sealed


def unseal(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """The message that ``seal`` was given. Raises ``DecryptionFailed``."""
    tag, sealed = box[:_TAG_SIZE], box[_TAG_SIZE:]
    stream = _xsalsa20(key, nonce, KEY_SIZE + len(sealed))
    try:
        Poly1305.verify_tag(stream[:KEY_SIZE], sealed, tag)
    except InvalidSignature:
        raise DecryptionFailed from None
    return _xor(sealed, stream[KEY_SIZE:])


def _xor(data: bytes, stream: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(data, stream, strict=True))


def _xsalsa20(key: bytes, nonce: bytes, size: int) -> bytes:
    """The key stream: HSalsa20 makes a key of the first 16 bytes of the nonce."""
    words = _double_rounds(_state(key, nonce[:16]))
    derived = struct.pack("<8I", *(words[place] for place in (0, 5, 10, 15, 6, 7, 8, 9)))
    blocks = []
    for number in range(-(-size // 64)):
        state = _state(derived, nonce[16:] + struct.pack("<Q", number))
        mixed = _double_rounds(list(state))
        blocks.append(
            struct.pack("<16I", *((a + b) & _WORD for a, b in zip(mixed, state, strict=True)))
        )
    return b"".join(blocks)[:size]


def _state(key: bytes, sixteen: bytes) -> list[int]:
    k, n = struct.unpack("<8I", key), struct.unpack("<4I", sixteen)
    return [_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3]]


def _double_rounds(x: list[int]) -> list[int]:
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            x[b] ^= _rotated(x[a] + x[d], 7)
            x[c] ^= _rotated(x[b] + x[a], 9)
            x[d] ^= _rotated(x[c] + x[b], 13)
            x[a] ^= _rotated(x[d] + x[c], 18)
    return x


def _rotated(value: int, bits: int) -> int:
    value &= _WORD
    return ((value << bits) | (value >> (32 - bits))) & _WORD
