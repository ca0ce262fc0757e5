"""Asking Fulcio for a certificate (sigstore/fulcio, v2 API: signingCert)."""

from __future__ import annotations

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from homeport.attest import base64_text
from homeport.attest.errors import BadSignature, SigningFailed
from homeport.attest.keys.private_key import PrivateKey
from homeport.attest.sigstore.certificate import Certificate, read_pem_certificate
from homeport.attest.sigstore.identity_token import IdentityToken
from homeport.attest.sigstore.services import ask, expect
from homeport.net.client import Client


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate for a key, and the PEM of the chain above it."""

    certificate: Certificate
    pem: str
    chain: str


class _Chain(msgspec.Struct):
    certificates: list[str]


class _Signed(msgspec.Struct):
    chain: _Chain


class _Answer(msgspec.Struct, rename={"embedded": "signedCertificateEmbeddedSct"}):
    embedded: _Signed


_ANSWER_DECODER = msgspec.json.Decoder(_Answer)


def request_certificate(client: Client, url: str, token: IdentityToken, key: PrivateKey) -> Issued:
    """A certificate that names the token's identity. Raises ``SigningFailed``."""
    attribute = x509.NameAttribute(NameOID.EMAIL_ADDRESS, token.email or "sigstore@example.invalid")
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([attribute]))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key.key, hashes.SHA256())
    )
    pem = request.public_bytes(serialization.Encoding.PEM)
    body = msgspec.json.encode({"certificateSigningRequest": base64_text.encode(pem)})
    target = f"{url.rstrip('/')}/api/v2/signingCert"
    answer = ask(client, "Fulcio", "POST", target, body=body, token=token.text)
    certificates = expect(answer, "Fulcio", _ANSWER_DECODER, (200, 201)).embedded.chain.certificates
    if not certificates:
        raise SigningFailed("Fulcio: the answer has no certificate")
    try:
        leaf = read_pem_certificate(certificates[0])
    except BadSignature as error:
        raise SigningFailed(f"Fulcio: {error.what}") from error
    if leaf.key != key.public:
        raise SigningFailed("Fulcio: the certificate is for another key")
    return Issued(certificate=leaf, pem=certificates[0], chain="".join(certificates[1:]))
