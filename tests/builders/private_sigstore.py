"""A Sigstore of our own in memory: certificate authority, CT log, Rekor v1 or v2, time stamps.

Makes what Fulcio, Rekor and a time-stamp authority would make, right or wrong in one point, and
the trusted root that believes it. The formats: sigstore/fulcio docs/oid-info.md, RFC 6962,
sigstore/rekor types, C2SP tlog-checkpoint.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
NAME = "https://github.com/example/tools/.github/workflows/build.yml@refs/heads/main"
ISSUER = "https://token.actions.githubusercontent.com"
_FULCIO = "1.3.6.1.4.1.57264.1"
_YEAR = dt.timedelta(days=365)
AnyKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def canonical(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def spki(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem_of(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key: AnyKey, data: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def pae(payload: bytes, type: str = IN_TOTO) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(type), type.encode(), len(payload), payload)


def envelope(signature: bytes, payload: bytes) -> dict[str, Any]:
    return {
        "payload": b64(payload), "payloadType": IN_TOTO, "signatures": [{"sig": b64(signature)}]
    }  # fmt: skip


def utf8_string(text: str) -> bytes:
    raw = text.encode()
    size = bytes([len(raw)]) if len(raw) < 128 else bytes([0x81, len(raw)])
    return b"\x0c" + size + raw


def at(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class PrivateSigstore:
    """Everything in memory; ``v2``: the log is Rekor v2, which signs no times."""

    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC).replace(microsecond=0))
    v2: bool = False
    host: str = "log.test.example"
    leaves: list[bytes] = field(default_factory=list)
    tsa: OpensslTsa | None = None

    def __post_init__(self) -> None:
        self.ca_key = ec.generate_private_key(ec.SECP256R1())
        self.ct_key = ec.generate_private_key(ec.SECP256R1())
        self.log_key: AnyKey = (
            ed25519.Ed25519PrivateKey.generate()
            if self.v2
            else ec.generate_private_key(ec.SECP256R1())
        )
        self.origin = self.host if self.v2 else f"{self.host} - 1"
        self.ca = self.authority(self.now - _YEAR, self.now + 10 * _YEAR)
        self.leaves += [b"another entry", b"and one more"]

    def authority(self, start: dt.datetime, end: dt.datetime) -> x509.Certificate:
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sigstore.test"),
                x509.NameAttribute(NameOID.COMMON_NAME, "sigstore-test"),
            ]
        )
        key_usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.ca_key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.ca_key.public_key())
            .serial_number(1)
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(key_usage, critical=True)
            .add_extension(identifier, critical=False)
            .sign(self.ca_key, hashes.SHA256())
        )

    def certificate(
        self,
        key: Any,
        name: str = NAME,
        issuer: str = ISSUER,
        *,
        start: dt.datetime | None = None,
        claims: Mapping[int, str] | None = None,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        ct_key: ec.EllipticCurvePrivateKey | None = None,
        with_sct: bool = True,
    ) -> x509.Certificate:
        """A leaf as Fulcio issues it, valid for ten minutes; ``key`` is either half."""
        public = key.public_key() if hasattr(key, "public_key") else key
        start = start or self.now
        san: x509.GeneralName = (
            x509.UniformResourceIdentifier(name) if "://" in name else x509.RFC822Name(name)
        )
        digital = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.ca.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(minutes=10))
            .add_extension(digital, critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(authority, critical=False)
            .add_extension(x509.SubjectAlternativeName([san]), critical=True)
            .add_extension(self._claim(1, issuer.encode()), critical=False)
            .add_extension(self._claim(8, utf8_string(issuer)), critical=False)
        )
        for number, text in (claims or {}).items():
            builder = builder.add_extension(self._claim(number, utf8_string(text)), critical=False)
        if not with_sct:
            return builder.sign(self.ca_key, hashes.SHA256())
        tbs = builder.sign(self.ca_key, hashes.SHA256()).tbs_certificate_bytes
        scts = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), self._scts(tbs, start, ct_key)
        )
        return builder.add_extension(scts, critical=False).sign(self.ca_key, hashes.SHA256())

    def _claim(self, number: int, value: bytes) -> x509.UnrecognizedExtension:
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_FULCIO}.{number}"), value)

    def _scts(
        self, tbs: bytes, time: dt.datetime, ct_key: ec.EllipticCurvePrivateKey | None
    ) -> bytes:
        """A list of one signed certificate timestamp (RFC 6962, 3.2 and 3.3)."""
        key, milliseconds = ct_key or self.ct_key, int(time.timestamp() * 1000)
        signed = (
            struct.pack(">BBQH", 0, 0, milliseconds, 1)
            + sha(spki(self.ca_key))
            + len(tbs).to_bytes(3, "big")
            + tbs
            + b"\0\0"
        )
        signature = sign(key, signed)
        sct = (
            b"\0" + sha(spki(key)) + struct.pack(">Q", milliseconds) + b"\0\0"
            + b"\x04\x03" + struct.pack(">H", len(signature)) + signature
        )  # fmt: skip
        listed = struct.pack(">H", len(sct)) + sct
        whole = struct.pack(">H", len(listed)) + listed
        size = bytes([len(whole)]) if len(whole) < 128 else bytes([0x81, len(whole)])
        return b"\x04" + size + whole

    @property
    def log_id(self) -> bytes:
        if isinstance(self.log_key, ed25519.Ed25519PrivateKey):  # as a signed note names its key
            raw = self.log_key.public_key().public_bytes_raw()
            return sha(self.origin.encode() + b"\n\x01" + raw)
        return sha(spki(self.log_key))

    def entry(
        self, body: bytes, kind: tuple[str, str], time: dt.datetime | None = None
    ) -> dict[str, Any]:
        """Take ``body`` into the log: the entry with its proofs."""
        self.leaves.append(body)
        index, size = len(self.leaves) - 1, len(self.leaves)
        root = _root(self.leaves)
        found: dict[str, Any] = {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind[0], "version": kind[1]},
            "inclusionProof": {
                "logIndex": str(index), "rootHash": b64(root), "treeSize": str(size),
                "hashes": [b64(one) for one in _path(index, self.leaves)],
                "checkpoint": {"envelope": self.checkpoint()},
            },
            "canonicalizedBody": b64(body),
        }  # fmt: skip
        if not self.v2:
            seconds = int((time or self.now).timestamp())
            found["integratedTime"] = str(seconds)
            found["inclusionPromise"] = {
                "signedEntryTimestamp": b64(self.promise(body, seconds, index))
            }
        return found

    def promise(self, body: bytes, seconds: int, index: int) -> bytes:
        return sign(
            self.log_key,
            canonical(
                {
                    "body": b64(body), "integratedTime": seconds, "logID": self.log_id.hex(),
                    "logIndex": index,
                }
            ),
        )  # fmt: skip

    def checkpoint(self) -> str:
        """A signed note over the log as it is now."""
        note = f"{self.origin}\n{len(self.leaves)}\n{b64(_root(self.leaves))}\n"
        signature = self.log_id[:4] + sign(self.log_key, note.encode())
        return f"{note}\n\u2014 {self.host} {b64(signature)}\n"

    def body(
        self, payload: bytes, signature: bytes, certificate: x509.Certificate
    ) -> tuple[bytes, tuple[str, str]]:
        """The entry about an envelope, and its type."""
        if self.v2:
            raw = b64(certificate.public_bytes(Encoding.DER))
            record = {
                "data": {"algorithm": "SHA2_256", "digest": b64(sha(pae(payload)))},
                "signature": {
                    "content": b64(signature),
                    "verifier": {
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                        "x509Certificate": {"rawBytes": raw},
                    },
                },
            }
            kind = ("hashedrekord", "0.0.2")
            spec: dict[str, Any] = {"hashedRekordV002": record}
        else:
            kind = ("dsse", "0.0.1")
            verifier = b64(certificate.public_bytes(Encoding.PEM))
            spec = {
                "envelopeHash": {
                    "algorithm": "sha256",
                    "value": sha(compact(envelope(signature, payload))).hex(),
                },
                "payloadHash": {"algorithm": "sha256", "value": sha(payload).hex()},
                "signatures": [{"signature": b64(signature), "verifier": verifier}],
            }
        return canonical({"apiVersion": kind[1], "kind": kind[0], "spec": spec}), kind

    def bundle(
        self,
        payload: bytes,
        key: AnyKey | None = None,
        certificate: x509.Certificate | None = None,
        *,
        time: dt.datetime | None = None,
        tsa: OpensslTsa | None = None,
    ) -> dict[str, Any]:
        """A keyless bundle over a statement."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = certificate or self.certificate(key)
        signature = sign(key, pae(payload))
        body, kind = self.body(payload, signature, certificate)
        material: dict[str, Any] = {
            "certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
            "tlogEntries": [self.entry(body, kind, time)],
        }
        tsa = tsa or self.tsa
        if tsa is not None:
            material["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(tsa.stamp(signature))}]
            }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": material,
            "dsseEnvelope": envelope(signature, payload),
        }

    def legacy_annotations(
        self,
        payload: bytes,
        key: AnyKey | None = None,
        certificate: x509.Certificate | None = None,
        *,
        time: dt.datetime | None = None,
    ) -> dict[str, str]:
        """Annotations of a keyless layer of ``sha256-HEX.sig``: certificate and promise."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = certificate or self.certificate(key)
        signature, pem = sign(key, payload), certificate.public_bytes(Encoding.PEM)
        spec = {
            "data": {"hash": {"algorithm": "sha256", "value": sha(payload).hex()}},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
        }
        body = canonical({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec})
        seconds, index = int((time or self.now).timestamp()), len(self.leaves)
        self.leaves.append(body)
        promise = {
            "SignedEntryTimestamp": b64(self.promise(body, seconds, index)),
            "Payload": {
                "body": b64(body), "integratedTime": seconds, "logIndex": index,
                "logID": self.log_id.hex(),
            },
        }  # fmt: skip
        return {
            "dev.cosignproject.cosign/signature": b64(signature),
            "dev.sigstore.cosign/certificate": pem.decode(),
            "dev.sigstore.cosign/chain": self.ca.public_bytes(Encoding.PEM).decode(),
            "dev.sigstore.cosign/bundle": compact(promise).decode(),
        }

    def trusted_root(self) -> dict[str, Any]:
        """The trusted root that believes all of it, as sigstore's JSON."""
        period = {"start": at(self.now - _YEAR)}

        def log(url: str, key: AnyKey, id: bytes) -> dict[str, Any]:
            is_ed25519 = isinstance(key, ed25519.Ed25519PrivateKey)
            details = "PKIX_ED25519" if is_ed25519 else "PKIX_ECDSA_P256_SHA_256"
            return {
                "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(id)},
                "publicKey": {
                    "rawBytes": b64(spki(key)), "keyDetails": details, "validFor": dict(period)
                },
            }  # fmt: skip

        def authority(url: str, *chain: x509.Certificate) -> dict[str, Any]:
            return {
                "subject": {"organization": "sigstore.test", "commonName": "sigstore-test"},
                "uri": url, "validFor": dict(period),
                "certChain": {
                    "certificates": [
                        {"rawBytes": b64(one.public_bytes(Encoding.DER))} for one in chain
                    ]
                },
            }  # fmt: skip

        found = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(f"https://{self.host}", self.log_key, self.log_id)],
            "certificateAuthorities": [authority("https://ca.test.example", self.ca)],
            "ctlogs": [log("https://ct.test.example", self.ct_key, sha(spki(self.ct_key)))],
        }
        if self.tsa is not None:
            found["timestampAuthorities"] = [
                authority("https://tsa.test.example", self.tsa.certificate, self.tsa.root)
            ]
        return found

    def write_root(self, path: Path) -> Path:
        path.write_bytes(compact(self.trusted_root()))
        return path


class OpensslTsa:
    """A time-stamp authority: ``openssl ts`` in a folder, offline."""

    def __init__(self, folder: Path, now: dt.datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

        def begun(subject: str, public: Any, serial: int) -> x509.CertificateBuilder:
            names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)])
                     for one in (subject, "tsa-root")]  # fmt: skip
            return (
                x509.CertificateBuilder()
                .subject_name(names[0])
                .issuer_name(names[1])
                .public_key(public)
                .serial_number(serial)
                .not_valid_before(now - dt.timedelta(days=1))
                .not_valid_after(now + 10 * _YEAR)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            )

        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        digital = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        self.root = (
            begun("tsa-root", root_key.public_key(), 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(signs, critical=True)
            .sign(root_key, hashes.SHA256())
        )
        self.certificate = (
            begun("tsa", key.public_key(), 2)
            .add_extension(digital, critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
            .sign(root_key, hashes.SHA256())
        )
        (folder / "tsa.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        (folder / "tsa.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(
            "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\ncrypto_device=builtin\n"
            "signer_cert=tsa.pem\nsigner_key=tsa.key\nsigner_digest=sha256\n"
            "default_policy=1.2.3.4.1\ndigests=sha256,sha384,sha512\naccuracy=secs:1\n"
            "ordering=no\ntsa_name=no\ness_cert_id_chain=no\ness_cert_id_alg=sha256\n"
        )

    def stamp(self, data: bytes) -> bytes:
        """A response over ``data``."""
        (self.folder / "data").write_bytes(data)
        return self.reply(self._openssl("-query", "-data", "data", "-sha256", "-cert"))

    def reply(self, query: bytes) -> bytes:
        """The response to a request, as DER."""
        (self.folder / "query.tsq").write_bytes(query)
        return self._openssl(
            "-reply", "-config", "tsa.cnf", "-section", "t", "-queryfile", "query.tsq"
        )

    def _openssl(self, *arguments: str) -> bytes:
        return subprocess.run(
            ["openssl", "ts", *arguments], cwd=self.folder, capture_output=True, check=True
        ).stdout


def _root(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash (RFC 6962, 2.1)."""
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    half = _half(len(leaves))
    return sha(b"\1" + _root(leaves[:half]) + _root(leaves[half:]))


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """The audit path (RFC 6962, 2.1.1)."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*_path(index, leaves[:half]), _root(leaves[half:])]
    return [*_path(index - half, leaves[half:]), _root(leaves[:half])]


def _half(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1
