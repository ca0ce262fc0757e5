"""Entries of Rekor's transparency log: that the log has them, and what they are about.

Proofs: RFC 6962 (Merkle trees), C2SP's tlog-checkpoint (signed notes), and Rekor v1's signed
entry timestamp. An entry proves something only for the signature, the certificate and the
payload that its body names (CVE-2026-22703, CVE-2022-36056, GHSA-fx35-mq7g-6g98).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from homeport.attest import base64_text, strict_json
from homeport.attest.bundle import InclusionProof, LogEntry
from homeport.attest.errors import BadSignature
from homeport.attest.keys.public_key import read_public_key
from homeport.attest.sigstore.certificate import read_pem_certificate
from homeport.attest.sigstore.trusted_root import Log, TrustedRoot

_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_HASH_SIZE = 32


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What an entry must name.

    verifier: the signer's certificate or public key, DER
    message:  the bytes that the signature is over
    payload:  the statement, for an envelope; ``None`` for a legacy signature
    """

    signature: bytes
    verifier: bytes
    message: bytes
    payload: bytes | None = None


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """A verified entry. ``time``: when the log took it, if the log signed that."""

    log: Log
    index: int
    time: datetime | None
    is_v2: bool


def check_entry(entry: LogEntry, signed: Signed, root: TrustedRoot) -> Logged:
    """Verify an entry of a bundle: proof, checkpoint, promise, body. Raises ``BadSignature``."""
    if entry.log_id is None or entry.kind_version is None:
        raise BadSignature("the log entry names no log or no type")
    log = _find_log(base64_text.decode(entry.log_id.key_id, "the log's id"), root)
    body = base64_text.decode(entry.canonicalized_body, "the log entry")
    version = (entry.kind_version.kind, entry.kind_version.version)
    if entry.inclusion_proof is None:
        raise BadSignature("the log entry has no inclusion proof")
    is_v2 = version == ("hashedrekord", "0.0.2")
    check_inclusion(entry.inclusion_proof, body, log, is_v2=is_v2)
    check_body(body, version, signed)
    time = None
    if entry.inclusion_promise is not None and not is_v2:
        time = check_promise(
            entry.inclusion_promise.signed_entry_timestamp, log, body=body,
            time=_number(entry.integrated_time or "", "the time of the log entry"),
            index=_number(entry.log_index, "the index of the log entry"),
        )  # fmt: skip
    return Logged(log=log, index=_number(entry.log_index, "the index"), time=time, is_v2=is_v2)


def check_legacy_entry(document: str, signed: Signed, root: TrustedRoot) -> Logged:
    """Verify the ``…/bundle`` annotation of a legacy signature, which has only a promise."""
    found = _LEGACY_ENTRY.decode(document.encode(), "the log entry")
    try:
        log_id = bytes.fromhex(found.payload.log_id)
    except ValueError as error:
        raise BadSignature("the log entry names no log") from error
    log = _find_log(log_id, root)
    body = base64_text.decode(found.payload.body, "the log entry")
    time = check_promise(
        found.signed_entry_timestamp, log, body=body, time=found.payload.integrated_time,
        index=found.payload.log_index,
    )  # fmt: skip
    check_body(body, _version_of(body), signed)
    return Logged(log=log, index=found.payload.log_index, time=time, is_v2=False)


def check_promise(set: str, log: Log, *, body: bytes, time: int, index: int) -> datetime:
    """The time that a signed entry timestamp vouches for. Raises ``BadSignature``."""
    signed = strict_json.canonical(
        {
            "body": base64_text.encode(body), "integratedTime": time,
            "logID": log.key_id.hex(), "logIndex": index,
        }
    )  # fmt: skip
    if not log.key.has_signed(base64_text.decode(set, "the signed entry timestamp"), signed):
        raise BadSignature("the log did not sign the time of the entry")
    try:
        return datetime.fromtimestamp(time, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadSignature("the time of the log entry is impossible") from error


def check_inclusion(proof: InclusionProof, body: bytes, log: Log, *, is_v2: bool) -> None:
    """Verify that the log has ``body``: path, root, checkpoint. Raises ``BadSignature``."""
    index = _number(proof.log_index, "the index in the inclusion proof")
    size = _number(proof.tree_size, "the size in the inclusion proof")
    root = base64_text.decode(proof.root_hash, "the root of the inclusion proof")
    hashes = [base64_text.decode(one, "a hash of the inclusion proof") for one in proof.hashes]
    if any(len(one) != _HASH_SIZE for one in (root, *hashes)):
        raise BadSignature("the inclusion proof has a hash of the wrong size")
    leaf = hashlib.sha256(b"\0" + body).digest()
    if root_from_path(index, size, leaf, hashes) != root:
        raise BadSignature("the inclusion proof does not lead to the root of the log")
    if proof.checkpoint is None:
        raise BadSignature("the inclusion proof has no checkpoint")
    _check_checkpoint(proof.checkpoint.envelope, size, root, log, is_v2=is_v2)


def root_from_path(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes | None:
    """The root that a leaf and its audit path give (RFC 9162, 2.1.3.2), ``None`` if impossible."""
    if index >= size:
        return None
    number, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if number & 1 or number == last:
            found = _node(sibling, found)
            while number and not number & 1:
                number, last = number >> 1, last >> 1
        else:
            found = _node(found, sibling)
        number, last = number >> 1, last >> 1
    return found if last == 0 else None


def check_body(body: bytes, version: tuple[str, str], signed: Signed) -> None:
    """Require that an entry is about this signature, signer and payload."""
    try:
        check = _BODIES[version]
    except KeyError:
        raise BadSignature(f"the log entry has the unknown type {'/'.join(version)}") from None
    document = strict_json.parse(body, "the log entry")
    if not isinstance(document, dict) or version != _version_of(body):
        raise BadSignature("the log entry is of another type than it says")
    try:
        check(document["spec"], signed)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise BadSignature("the log entry is incomplete") from error


def _check_dsse(spec: Any, signed: Signed) -> None:
    if signed.payload is None:
        raise BadSignature("the log entry is about an envelope, the signature is none")
    (one,) = _exactly_one(spec["signatures"])
    _same(spec["payloadHash"], {"algorithm": "sha256", "value": _sha256(signed.payload)}, "payload")
    _same(base64_text.decode(one["signature"], "the entry"), signed.signature, "signature")
    _check_verifier(one["verifier"], signed)


def _check_intoto(spec: Any, signed: Signed) -> None:
    if signed.payload is None:
        raise BadSignature("the log entry is about an envelope, the signature is none")
    content = spec["content"]
    (one,) = _exactly_one(content["envelope"]["signatures"])
    digest = {"algorithm": "sha256", "value": _sha256(signed.payload)}
    _same(content["payloadHash"], digest, "payload")
    twice = base64_text.decode(one["sig"], "the entry")  # base64 of base64, since intoto 0.0.2
    _same(base64_text.decode(twice.decode(), "the entry"), signed.signature, "signature")
    _check_verifier(one["publicKey"], signed)


def _check_hashedrekord(spec: Any, signed: Signed) -> None:
    _same(
        spec["data"]["hash"], {"algorithm": "sha256", "value": _sha256(signed.message)}, "payload"
    )
    content = base64_text.decode(spec["signature"]["content"], "the entry")
    _same(content, signed.signature, "signature")
    _check_verifier(spec["signature"]["publicKey"]["content"], signed)


def _check_hashedrekord_v2(spec: Any, signed: Signed) -> None:
    found = spec["hashedRekordV002"]
    digest = {
        "algorithm": "SHA2_256",
        "digest": base64_text.encode(hashlib.sha256(signed.message).digest()),
    }
    _same(found["data"], digest, "payload")
    content = base64_text.decode(found["signature"]["content"], "the entry")
    _same(content, signed.signature, "signature")
    verifier = found["signature"]["verifier"]
    form = "x509Certificate" if "x509Certificate" in verifier else "publicKey"
    raw = base64_text.decode(verifier[form]["rawBytes"], "the entry")
    _same(raw, signed.verifier, "certificate")


_BODIES = {
    ("dsse", "0.0.1"): _check_dsse,
    ("intoto", "0.0.2"): _check_intoto,
    ("hashedrekord", "0.0.1"): _check_hashedrekord,
    ("hashedrekord", "0.0.2"): _check_hashedrekord_v2,
}


class _LegacyPayload(msgspec.Struct):
    body: str
    integrated_time: int = msgspec.field(name="integratedTime")
    log_index: int = msgspec.field(name="logIndex")
    log_id: str = msgspec.field(name="logID")


class _LegacyEntry(msgspec.Struct):
    signed_entry_timestamp: str = msgspec.field(name="SignedEntryTimestamp")
    payload: _LegacyPayload = msgspec.field(name="Payload")


_LEGACY_ENTRY = strict_json.Reader(_LegacyEntry)


def _check_verifier(text: str, signed: Signed) -> None:
    """The signer in an entry of Rekor v1: base64 of the PEM form."""
    pem = base64_text.decode(text, "the entry")
    if b"CERTIFICATE" in pem:
        found = read_pem_certificate(pem.decode()).der
    else:
        found = read_public_key(pem, "the key in the log entry").spki
    _same(found, signed.verifier, "certificate")


def _exactly_one(values: list[Any]) -> list[Any]:
    if len(values) != 1:
        raise BadSignature(f"the log entry names {len(values)} signatures, expected 1")
    return values


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise BadSignature(f"the log entry is about another {what}")


def _version_of(body: bytes) -> tuple[str, str]:
    document = strict_json.parse(body, "the log entry")
    if not isinstance(document, dict):
        raise BadSignature("the log entry is not a JSON object")
    return str(document.get("kind")), str(document.get("apiVersion"))


def _find_log(key_id: bytes, root: TrustedRoot) -> Log:
    for log in root.logs:
        if log.key_id == key_id:
            return log
    raise BadSignature("the log is not one of the trusted root")


def _check_checkpoint(envelope: str, size: int, root: bytes, log: Log, *, is_v2: bool) -> None:
    """Require a checkpoint of the log over this size and root."""
    text, separator, signatures = envelope.partition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) < 3:
        raise BadSignature("the checkpoint is not a signed note")
    note = (text + "\n").encode()
    if not any(_is_signed(line, note, log) for line in signatures.split("\n")):
        raise BadSignature("the checkpoint is not signed by the log")
    if is_v2 and lines[0] != log.host:
        raise BadSignature(f"the checkpoint is of another log, {lines[0]}")
    if _number(lines[1], "the size in the checkpoint") != size:
        raise BadSignature("the checkpoint is of another size than the inclusion proof")
    if base64_text.decode(lines[2], "the root of the checkpoint") != root:
        raise BadSignature("the checkpoint has another root than the inclusion proof")


def _is_signed(line: str, note: bytes, log: Log) -> bool:
    """Whether a line ``— NAME BASE64`` is a signature of the log over the note."""
    mark, _, rest = line.partition(" ")
    _, _, text = rest.rpartition(" ")
    if mark != "\u2014" or not text:
        return False
    raw = base64_text.decode(text, "a signature of the checkpoint")
    own = hashlib.sha256(log.key.spki).digest()[:4]  # as Rekor v1 names its key
    return raw[:4] in (log.key_id[:4], own) and log.key.has_signed(raw[4:], note)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _number(text: str, what: str) -> int:
    """A number as protobuf's JSON writes 64-bit integers, and never a negative one."""
    if not _NUMBER.fullmatch(text) or int(text) >= 1 << 63:
        raise BadSignature(f"{what} is not a valid number")
    return int(text)
