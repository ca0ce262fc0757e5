"""Fulcio's certificates: who signed, and whether the certificate is to be believed.

Names of the extensions: sigstore/fulcio, oid-info.md. Chains are built and verified by
``cryptography``; what is here are the rules above that: the time, signed certificate timestamps
(RFC 6962), and the uses a certificate must have.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from homeport.attest.errors import BadKey, BadSignature
from homeport.attest.keys.public_key import PublicKey, public_key
from homeport.attest.sigstore.trusted_root import Authority, TrustedRoot

_FULCIO = "1.3.6.1.4.1.57264.1"
_USERNAME = x509.ObjectIdentifier(f"{_FULCIO}.7")
_DEPTH = 4  # certificates between leaf and root
#: Names of the claims in a certificate, by the last number of their extension.
CLAIMS = {
    9: "build-signer-uri", 10: "build-signer-digest", 11: "runner", 12: "source-repository",
    13: "source-digest", 14: "source-ref", 15: "source-repository-id", 16: "source-owner",
    17: "source-owner-id", 18: "build-config-uri", 19: "build-config-digest", 20: "trigger",
    21: "run-uri", 22: "source-visibility",
}  # fmt: skip


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who a certificate was issued to.

    name:   the subject alternative name: an e-mail address or a URI
    issuer: who attested it (OIDC)
    claims: what else was attested, for example ``source-repository``
    """

    name: str
    issuer: str
    claims: dict[str, str] = {}


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A leaf certificate, read but not verified."""

    certificate: Any
    der: bytes
    key: PublicKey
    identity: Identity


def read_certificate(der: bytes) -> Certificate:
    """Read a leaf certificate. Raises ``BadSignature``."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = public_key(certificate.public_key(), "the certificate's key")
        identity = Identity(
            name=_name(certificate), issuer=_issuer(certificate), claims=_claims(certificate)
        )
    except (ValueError, BadKey, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise BadSignature(f"the certificate is not valid: {error}") from error
    return Certificate(certificate=certificate, der=der, key=key, identity=identity)


def read_pem_certificate(pem: str) -> Certificate:
    """Read the PEM form, as legacy signatures carry it. Raises ``BadSignature``."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise BadSignature(f"the certificate is not valid: {error}") from error
    return read_certificate(found.public_bytes(serialization.Encoding.DER))


def check_certificate(leaf: Certificate, root: TrustedRoot, time: datetime) -> None:
    """Require that ``leaf`` was valid at ``time``. Raises ``BadSignature``.

    Chain to an authority of the root, all of it valid then (CVE-2026-24122); the authority's own
    window; the uses of a code-signing certificate; a signed certificate timestamp of a known log.
    """
    _check_validity(leaf.certificate, time)
    issuer = _verified_issuer(leaf.certificate, root, time)
    _check_uses(leaf.certificate)
    _check_timestamps(leaf.certificate, issuer, root)


def _check_validity(certificate: x509.Certificate, time: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= time <= end:
        raise BadSignature(
            f"it was signed at {time:%Y-%m-%dT%H:%M:%SZ}, outside the certificate's validity "
            f"({start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ})"
        )


def _verified_issuer(leaf: x509.Certificate, root: TrustedRoot, time: datetime) -> x509.Certificate:
    """The certificate that issued the leaf, once the chain above it is verified."""
    reason = "no certificate authority of the trusted root issued the certificate"
    for authority in root.authorities:
        try:
            chain = _verified_chain(leaf, authority, time)
        except verification.VerificationError:
            continue
        if authority.period.covers(time):
            return chain[1]
        reason = f"the certificate authority was not trusted at {time:%Y-%m-%dT%H:%M:%SZ}"
    raise BadSignature(reason)


def _verified_chain(
    leaf: x509.Certificate, authority: Authority, time: datetime
) -> list[x509.Certificate]:
    if not authority.chain:
        raise verification.VerificationError
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([authority.chain[-1]]))
        .time(time)
        .max_chain_depth(_DEPTH)
        .extension_policies(
            ca_policy=verification.ExtensionPolicy.permit_all().require_present(
                x509.BasicConstraints, verification.Criticality.AGNOSTIC, _is_authority
            ),
            ee_policy=verification.ExtensionPolicy.permit_all().require_present(
                x509.SubjectAlternativeName, verification.Criticality.AGNOSTIC, None
            ),
        )
        .build_client_verifier()
    )
    chain = verifier.verify(leaf, list(authority.chain[:-1])).chain
    if len(chain) < 2:
        raise verification.VerificationError
    for issuer in chain[1:]:  # the library leaves the trust anchor's own validity to its caller
        if not issuer.not_valid_before_utc <= time <= issuer.not_valid_after_utc:
            raise verification.VerificationError
    return chain


def _is_authority(_policy: Any, _certificate: Any, extension: Any) -> None:
    if extension is None or not extension.ca:
        raise ValueError("not a certificate authority")


def _check_uses(certificate: x509.Certificate) -> None:
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        raise BadSignature("the certificate is not for code signing")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise BadSignature("the certificate is not for digital signatures")
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise BadSignature("the certificate is that of an authority, not of a signer")


def _check_timestamps(
    certificate: x509.Certificate, issuer: x509.Certificate, root: TrustedRoot
) -> None:
    """Require one signed certificate timestamp of a log of the root (RFC 6962, 3.2)."""
    found = _extension(certificate, x509.PrecertificateSignedCertificateTimestamps)
    if found is None or not list(found):
        raise BadSignature("the certificate has no signed certificate timestamp")
    for sct in found:
        if any(
            log.key_id == sct.log_id
            and log.period.covers(sct.timestamp.replace(tzinfo=UTC))
            and log.key.has_signed(sct.signature, _signed_entry(certificate, issuer, sct))
            for log in root.certificate_logs
        ):
            return
    raise BadSignature("the certificate is in no certificate-transparency log that is trusted")


def _signed_entry(certificate: x509.Certificate, issuer: x509.Certificate, sct: Any) -> bytes:
    """What the log signed: ``digitally-signed`` over a precertificate entry."""
    spki = issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tbs = certificate.tbs_precertificate_bytes
    milliseconds = round(sct.timestamp.replace(tzinfo=UTC).timestamp() * 1000)
    extensions = sct.extension_bytes
    return b"".join(
        (
            struct.pack(">BBQH", 0, 0, milliseconds, 1),
            hashlib.sha256(spki).digest(),
            len(tbs).to_bytes(3, "big"),
            tbs,
            struct.pack(">H", len(extensions)),
            extensions,
        )
    )


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None or len(names) != 1:
        raise ValueError("it must have exactly one subject alternative name")
    name = names[0]
    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id == _USERNAME:
        return _utf8_string(name.value)
    raise ValueError("its subject alternative name is neither an e-mail address nor a URI")


def _issuer(certificate: x509.Certificate) -> str:
    """The issuer: extension 8, or 1 in old certificates, which has the text as it is."""
    values = _fulcio_values(certificate)
    if 8 in values:
        return _utf8_string(values[8])
    return values.get(1, b"").decode()


def _claims(certificate: x509.Certificate) -> dict[str, str]:
    values = _fulcio_values(certificate)
    return {CLAIMS[one]: _utf8_string(raw) for one, raw in values.items() if one in CLAIMS}


def _fulcio_values(certificate: x509.Certificate) -> dict[int, bytes]:
    found = {}
    for extension in certificate.extensions:
        prefix, _, last = extension.oid.dotted_string.rpartition(".")
        value = extension.value
        if prefix == _FULCIO and isinstance(value, x509.UnrecognizedExtension):
            found[int(last)] = value.value
    return found


def _utf8_string(der: bytes) -> str:
    """A DER UTF8String and nothing else. Raises ``ValueError``."""
    if len(der) < 2 or der[0] != 0x0C:
        raise ValueError("an extension is not a UTF8String")
    size, start = der[1], 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 2:
            raise ValueError("an extension has an invalid length")
        start += count
        size = int.from_bytes(der[2:start], "big")
    if len(der) != start + size:
        raise ValueError("an extension has an invalid length")
    return der[start:].decode()
