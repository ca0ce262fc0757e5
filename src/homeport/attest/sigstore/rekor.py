"""Adding entries to Rekor v1 and v2 (sigstore/rekor openapi.yaml; rekor-tiles, CLIENTS.md)."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization

from homeport.attest import base64_text
from homeport.attest.bundle import (
    Checkpoint,
    InclusionProof,
    KindVersion,
    LogEntry,
    LogId,
    Promise,
)
from homeport.attest.dsse import Envelope
from homeport.attest.errors import SigningFailed
from homeport.attest.sigstore.certificate import Certificate
from homeport.attest.sigstore.services import Asked, ask, expect
from homeport.attest.sigstore.signing_config import Service
from homeport.net.client import Client
from homeport.net.url import Url

_CREATED = (200, 201)
_EXISTS = 409


class _Proof(msgspec.Struct, rename="camel"):
    checkpoint: str
    hashes: tuple[str, ...]
    log_index: int
    root_hash: str
    tree_size: int


class _Verification(msgspec.Struct, rename="camel"):
    inclusion_proof: _Proof
    signed_entry_timestamp: str


class _Entry(msgspec.Struct):
    body: str
    integrated_time: int = msgspec.field(name="integratedTime")
    log_id: str = msgspec.field(name="logID")
    log_index: int = msgspec.field(name="logIndex")
    verification: _Verification


_ENTRIES_DECODER = msgspec.json.Decoder(dict[str, _Entry])
_LOG_ENTRY_DECODER = msgspec.json.Decoder(LogEntry)


def log_envelope(
    client: Client, service: Service, envelope: Envelope, signed: bytes, certificate: Certificate
) -> LogEntry:
    """Log a signed statement; ``signed`` are the bytes under the signature."""
    signature = envelope.signatures[0].sig
    if service.major_api_version == 2:
        return _log_v2(client, service.url, signed, signature, certificate)
    spec = {
        "proposedContent": {
            "envelope": msgspec.json.encode(envelope).decode(), "verifiers": [_pem(certificate)]
        }
    }  # fmt: skip
    return _log_v1(client, service.url, "dsse", spec)


def log_payload(
    client: Client, service: Service, payload: bytes, signature: str, certificate: Certificate
) -> LogEntry:
    """Log a legacy signature, with Rekor v1: its readers know no other."""
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
        "signature": {"content": signature, "publicKey": {"content": _pem(certificate)}},
    }
    return _log_v1(client, service.url, "hashedrekord", spec)


def _log_v1(client: Client, url: str, kind: str, spec: dict[str, Any]) -> LogEntry:
    body = msgspec.json.encode({"apiVersion": "0.0.1", "kind": kind, "spec": spec})
    target = f"{url.rstrip('/')}/api/v1/log/entries"
    answer = ask(client, "Rekor", "POST", target, body=body)
    if answer.status == _EXISTS and answer.location:  # an earlier try, whose answer was lost
        answer = ask(client, "Rekor", "GET", _there(target, answer))
    entries = expect(answer, "Rekor", _ENTRIES_DECODER, _CREATED)
    if len(entries) != 1:
        raise SigningFailed(f"Rekor: {len(entries)} entries in the answer, expected 1")
    (entry,) = entries.values()
    proof = entry.verification.inclusion_proof
    try:
        return LogEntry(
            log_index=str(entry.log_index),
            log_id=LogId(key_id=base64_text.encode(bytes.fromhex(entry.log_id))),
            kind_version=KindVersion(kind=kind, version="0.0.1"),
            integrated_time=str(entry.integrated_time),
            inclusion_promise=Promise(
                signed_entry_timestamp=entry.verification.signed_entry_timestamp
            ),
            inclusion_proof=InclusionProof(
                log_index=str(proof.log_index), tree_size=str(proof.tree_size),
                root_hash=_base64_of_hex(proof.root_hash),
                hashes=tuple(_base64_of_hex(one) for one in proof.hashes),
                checkpoint=Checkpoint(envelope=proof.checkpoint),
            ),
            canonicalized_body=entry.body,
        )  # fmt: skip
    except ValueError as error:
        raise SigningFailed(f"Rekor: the answer is not valid: {error}") from error


def _log_v2(
    client: Client, url: str, signed: bytes, signature: str, certificate: Certificate
) -> LogEntry:
    record = {
        "digest": base64_text.encode(hashlib.sha256(signed).digest()),
        "signature": {
            "content": signature,
            "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "x509Certificate": {"rawBytes": base64_text.encode(certificate.der)},
            },
        },
    }
    body = msgspec.json.encode({"hashedRekordRequestV002": record})
    target = f"{url.rstrip('/')}/api/v2/log/entries"
    return expect(
        ask(client, "Rekor", "POST", target, body=body), "Rekor", _LOG_ENTRY_DECODER, _CREATED
    )


def _there(target: str, answer: Asked) -> str:
    """Where an entry is that the log has already; only on the log's own host."""
    found = Url.parse(target).join(answer.location)
    if found.netloc != Url.parse(target).netloc:
        raise SigningFailed(f"Rekor: the entry was redirected to {found}")
    return str(found)


def _pem(certificate: Certificate) -> str:
    pem = certificate.certificate.public_bytes(serialization.Encoding.PEM)
    return base64_text.encode(pem)


def _base64_of_hex(text: str) -> str:
    return base64_text.encode(bytes.fromhex(text))
