"""The number by which OpenSSL finds a certificate in a folder: a hash of its subject.

Source: ``x509_name_canon`` and ``X509_NAME_hash_ex`` in OpenSSL's crypto/x509 (since 1.0.0):
texts become UTF-8 in lower case without superfluous blanks, then SHA-1 over the parts of the
name. It decides the name of a link and no trust: who follows the link reads the certificate.
Not by ``cryptography``, which will refuse certificates that Debian ships (serial number 0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

_SEQUENCE, _UTF8, _VERSION = 0x30, 0x0C, 0xA0
#: Tag of a text → its encoding (X.680); OpenSSL reads T61 as Latin-1.
_ENCODINGS = {
    _UTF8: "utf-8", 0x13: "latin-1", 0x14: "latin-1", 0x16: "latin-1", 0x1A: "latin-1",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
#: After serial number, algorithm, issuer and validity (RFC 5280).
_SUBJECT = 4
_BLANKS = b" \t\n\v\f\r"


def subject_hash(certificate: bytes) -> str:
    """Of a certificate in DER, as ``openssl x509 -subject_hash`` prints it.

    Raises ``ValueError`` for what is no certificate.
    """
    _, outer = next(_values(certificate), (0, b""))
    _, signed = next(_values(outer), (0, b""))
    fields = [value for tag, value in _values(signed) if tag != _VERSION]
    if len(fields) < _SUBJECT + 1:
        raise ValueError("not a certificate")
    return _hash_of(fields[_SUBJECT])


def _hash_of(parts: bytes) -> str:
    canonical = b"".join(
        _encoded(tag, b"".join(sorted(_canonical(each) for _, each in _values(part))))
        for tag, part in _values(parts)
    )
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _canonical(attribute: bytes) -> bytes:
    kind, (tag, value) = _values(attribute)  # ValueError if there are not two
    encoding = _ENCODINGS.get(tag)
    if encoding is not None:
        text = value.decode(encoding, "replace").encode("utf-8")
        words = text.translate(bytes.maketrans(_BLANKS, b" " * len(_BLANKS))).split(b" ")
        tag, value = _UTF8, b" ".join(word for word in words if word).lower()
    return _encoded(_SEQUENCE, _encoded(*kind) + _encoded(tag, value))


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and values of DER, one after the other."""
    at = 0
    while at < len(data):
        tag, size, at = data[at], data[at + 1 : at + 2], at + 2
        if size > b"\x7f":
            length = size[0] & 0x7F
            size, at = data[at : at + length], at + length
        end = at + int.from_bytes(size, "big")
        if not size or end > len(data):
            raise ValueError("truncated data")
        yield tag, data[at:end]
        at = end


def _encoded(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes((tag, size)) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + value
