"""Signatures with certificates that prove nothing: log, time, chain, identity (cases 24 to 33)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from builders.private_sigstore import (
    ISSUER,
    NAME,
    OpensslTsa,
    PrivateSigstore,
    at,
    b64,
    canonical,
    pae,
    sign,
)
from builders.signed_images import Workshop, reasons, workshop
from homeport.attest.sigstore.certificate import read_certificate

LATER = timedelta(hours=1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


@pytest.fixture
def v1() -> PrivateSigstore:
    return PrivateSigstore()


@pytest.fixture
def v2(tmp_path: Path) -> PrivateSigstore:
    made = PrivateSigstore(v2=True)
    made.tsa = OpensslTsa(tmp_path / "tsa", made.now)
    return made


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def refused(shop: Workshop, sigstore: PrivateSigstore, because: str, **options: Any) -> None:
    result = shop.verify_keyless(sigstore, **options)
    assert not result.verified
    assert any(because in one for one in reasons(result)), reasons(result)


def entry_of(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def test_good_signatures_of_every_kind_are_accepted(
    shop: Workshop, v1: PrivateSigstore, v2: PrivateSigstore
) -> None:
    payload = shop.payload()
    shop.legacy(payload, v1.legacy_annotations(payload))
    shop.bundle(v1.bundle(shop.statement()))
    shop.bundle(v2.bundle(shop.statement()))
    for sigstore, forms in ((v1, {"legacy", "bundle"}), (v2, {"bundle"})):
        result = shop.verify_keyless(sigstore)
        assert result.verified
        found = {one.form for one in result.subject.signatures if one.verdict == "valid"}
        assert found == forms


@pytest.mark.parametrize(
    ("options", "because"),
    [
        ({"issuer": "https://gitlab.com"}, "the issuer is 'https://token.actions"),
        ({"identities": (NAME[:-1],)}, f"the signer is '{NAME}'"),
        ({"identities": (NAME.replace("build", "b*"),)}, f"the signer is '{NAME}'"),
        ({"identities": (f"{NAME}/",)}, f"the signer is '{NAME}'"),
    ],
    ids=["24-issuer", "24-prefix", "37-star", "24-longer"],
)
def test_another_identity_is_refused(
    shop: Workshop, v1: PrivateSigstore, options: dict[str, Any], because: str
) -> None:
    shop.bundle(v1.bundle(shop.statement()))
    refused(shop, v1, because, **options)
    assert shop.verify_keyless(v1, identities=(NAME[:-5] + "*",)).verified


def test_25_an_entry_after_the_certificates_end_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    shop.bundle(v1.bundle(shop.statement(), time=v1.now + LATER))
    refused(shop, v1, "outside the certificate's validity")


def test_26_a_time_that_the_log_did_not_sign_is_none(shop: Workshop, v1: PrivateSigstore) -> None:
    bundle = v1.bundle(shop.statement())
    del entry_of(bundle)["inclusionPromise"]
    shop.bundle(bundle)
    refused(shop, v1, "the time of signing is not proved")


def test_26_a_time_that_was_changed_is_refused(shop: Workshop, v1: PrivateSigstore) -> None:
    bundle = v1.bundle(shop.statement())
    entry_of(bundle)["integratedTime"] = str(int(v1.now.timestamp()) + 1)
    shop.bundle(bundle)
    refused(shop, v1, "the log did not sign the time of the entry")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda b: entry_of(b).pop("inclusionProof"), "no inclusion proof"),
        (lambda b: entry_of(b)["inclusionProof"].pop("checkpoint"), "has no checkpoint"),
        (lambda b: b["verificationMaterial"].pop("tlogEntries"), "0 log entries, expected 1"),
        (
            lambda b: b["verificationMaterial"]["tlogEntries"].append(entry_of(b)),
            "2 log entries, expected 1",
        ),
        (lambda b: entry_of(b)["inclusionProof"]["hashes"].pop(), "does not lead to the root"),
        (lambda b: entry_of(b)["inclusionProof"]["hashes"].append(b64(b"x" * 32)), "the root"),
        (lambda b: entry_of(b)["inclusionProof"].update(logIndex="1"), "does not lead to the"),
        (lambda b: entry_of(b)["inclusionProof"].update(logIndex="-1"), "not a valid number"),
        (lambda b: entry_of(b)["inclusionProof"].update(treeSize="9" * 30), "not a valid number"),
        (lambda b: entry_of(b).update(logIndex="9" * 25), "not a valid number"),
        (lambda b: entry_of(b).update(integratedTime="9" * 18), "did not sign the time"),
        (lambda b: entry_of(b)["kindVersion"].update(version="9"), "unknown type dsse/9"),
        (lambda b: entry_of(b)["logId"].update(keyId=b64(b"x" * 32)), "not one of the trusted"),
        (lambda b: entry_of(b)["inclusionProof"].update(rootHash="AAAA"), "wrong size"),
    ],
)
def test_27_proofs_that_are_missing_or_wrong_are_refused(
    shop: Workshop, v1: PrivateSigstore, change: Callable[[Any], object], because: str
) -> None:
    bundle = v1.bundle(shop.statement())
    change(bundle)
    shop.bundle(bundle)
    refused(shop, v1, because)


def test_28_an_entry_about_another_artifact_of_the_same_signer_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    """CVE-2026-22703, CVE-2022-36056."""
    key = new_key()
    certificate = v1.certificate(key)
    other = v1.bundle(shop.statement(predicate={"other": 1}), key, certificate)
    bundle = v1.bundle(shop.statement(), key, certificate)
    bundle["verificationMaterial"]["tlogEntries"] = [entry_of(other)]
    shop.bundle(bundle)
    refused(shop, v1, "the log entry is about another payload")


def test_28_the_same_for_legacy_signatures(shop: Workshop, v1: PrivateSigstore) -> None:
    key = new_key()
    certificate, payload = v1.certificate(key), shop.payload()
    other = v1.legacy_annotations(payload + b" ", key, certificate)
    annotations = v1.legacy_annotations(payload, key, certificate)
    name = "dev.sigstore.cosign/bundle"
    shop.legacy(payload, annotations | {name: other[name]})
    refused(shop, v1, "the log entry is about another payload")


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_29_an_entry_by_another_certificate_over_the_same_payload_is_refused(
    shop: Workshop, log: str, request: pytest.FixtureRequest
) -> None:
    sigstore: PrivateSigstore = request.getfixturevalue(log)
    key, payload = new_key(), shop.statement()
    certificate, other = sigstore.certificate(key), sigstore.certificate(key, "b@example.org")
    bundle = sigstore.bundle(payload, key, certificate)
    signature = sign(key, pae(payload))
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(signature)}]
    body, kind = sigstore.body(payload, signature, other)
    bundle["verificationMaterial"]["tlogEntries"] = [sigstore.entry(body, kind)]
    shop.bundle(bundle)
    refused(shop, sigstore, "the log entry is about another certificate")


def test_29_the_same_for_legacy_signatures(shop: Workshop, v1: PrivateSigstore) -> None:
    """The class of GHSA-fx35-mq7g-6g98."""
    key, payload = new_key(), shop.payload()
    annotations = v1.legacy_annotations(payload, key, v1.certificate(key, "b@example.org"))
    pem = v1.certificate(key).public_bytes(Encoding.PEM).decode()
    shop.legacy(payload, annotations | {"dev.sigstore.cosign/certificate": pem})
    refused(shop, v1, "the log entry is about another certificate")


def test_29_an_entry_over_another_signature_is_refused(shop: Workshop, v1: PrivateSigstore) -> None:
    key, payload = new_key(), shop.statement()
    bundle = v1.bundle(payload, key)
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(sign(key, pae(payload)))}]
    shop.bundle(bundle)
    refused(shop, v1, "the log entry is about another signature")


def test_30_a_certificate_outside_of_known_ct_logs_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    for certificate, because in (
        (v1.certificate(key := new_key(), ct_key=new_key()), "in no certificate-transparency log"),
        (v1.certificate(key, with_sct=False), "no signed certificate timestamp"),
    ):
        shop.bundle(v1.bundle(shop.statement(), key, certificate))
        refused(shop, v1, because)


def test_30_an_unknown_authority_is_refused(shop: Workshop, v1: PrivateSigstore) -> None:
    key = new_key()
    other = PrivateSigstore(now=v1.now)
    other.ct_key = v1.ct_key
    shop.bundle(v1.bundle(shop.statement(), key, other.certificate(key)))
    refused(shop, v1, "no certificate authority of the trusted root")


def test_30_an_unknown_log_is_refused(shop: Workshop, v1: PrivateSigstore) -> None:
    shop.bundle(PrivateSigstore().bundle(shop.statement()))
    refused(shop, v1, "the log is not one of the trusted root")


@pytest.mark.parametrize("log", ["v1", "v2"])
def test_30_a_checkpoint_of_a_later_tree_is_refused(
    shop: Workshop, log: str, request: pytest.FixtureRequest
) -> None:
    sigstore: PrivateSigstore = request.getfixturevalue(log)
    bundle = sigstore.bundle(shop.statement())
    sigstore.leaves.append(b"later")
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = sigstore.checkpoint()
    shop.bundle(bundle)
    refused(shop, sigstore, "the checkpoint is of another size")


def test_30_a_checkpoint_that_another_key_signed_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    bundle = v1.bundle(shop.statement())
    envelope = entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"]
    note, _, _ = envelope.partition("\n\n")
    forged = v1.log_id[:4] + sign(new_key(), f"{note}\n".encode())
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = (
        f"{note}\n\n\u2014 {v1.host} {b64(forged)}\n"
    )
    shop.bundle(bundle)
    refused(shop, v1, "the checkpoint is not signed by the log")


def test_30_a_checkpoint_of_another_origin_is_refused(shop: Workshop, v2: PrivateSigstore) -> None:
    right, v2.origin = v2.log_id, "elsewhere.example"
    shop.bundle(v2.bundle(shop.statement()))
    document = v2.trusted_root()
    assert right != v2.log_id
    v2.trusted_root = lambda: document  # type: ignore[method-assign]
    refused(shop, v2, "the checkpoint is of another log, elsewhere.example")


@pytest.mark.parametrize("what", ["tlogs", "certificateAuthorities", "ctlogs"])
def test_31_a_window_that_ended_before_is_refused_and_sigstore_python_accepts_some(
    shop: Workshop, v1: PrivateSigstore, what: str
) -> None:
    shop.bundle(v1.bundle(shop.statement()))
    assert shop.verify_keyless(v1).verified
    root = v1.trusted_root()
    for one in root[what]:
        holder = one.get("publicKey", one)
        holder["validFor"]["end"] = at(v1.now - LATER)
    v1.trusted_root = lambda: root  # type: ignore[method-assign]
    assert not shop.verify_keyless(v1).verified


def test_32_rekor_v2_requires_a_time_stamp(shop: Workshop, v2: PrivateSigstore) -> None:
    bundle = v2.bundle(shop.statement())
    del bundle["verificationMaterial"]["timestampVerificationData"]
    shop.bundle(bundle)
    refused(shop, v2, "it has no time stamp, which this log requires")


def test_32_a_time_stamp_of_another_signature_is_refused(
    shop: Workshop, v2: PrivateSigstore
) -> None:
    bundle, other = v2.bundle(shop.statement()), v2.bundle(shop.statement())
    name = "timestampVerificationData"
    bundle["verificationMaterial"][name] = other["verificationMaterial"][name]
    shop.bundle(bundle)
    refused(shop, v2, "the time stamp is of another signature")


def test_32_a_time_stamp_of_an_unknown_authority_is_refused(
    shop: Workshop, v2: PrivateSigstore, tmp_path: Path
) -> None:
    stranger = OpensslTsa(tmp_path / "stranger", v2.now)
    shop.bundle(v2.bundle(shop.statement(), tsa=stranger))
    refused(shop, v2, "no time-stamp authority of the trusted root")


def test_32_a_certificate_that_had_expired_at_the_time_stamp_is_refused(
    shop: Workshop, v2: PrivateSigstore
) -> None:
    key = new_key()
    certificate = v2.certificate(key, start=v2.now - LATER)
    shop.bundle(v2.bundle(shop.statement(), key, certificate))
    refused(shop, v2, "outside the certificate's validity")


def test_32_an_entry_of_another_artifact_is_refused(shop: Workshop, v2: PrivateSigstore) -> None:
    key = new_key()
    certificate = v2.certificate(key)
    other = v2.bundle(shop.statement(predicate={"other": 1}), key, certificate)
    bundle = v2.bundle(shop.statement(), key, certificate)
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    shop.bundle(bundle)
    refused(shop, v2, "the log entry is about another payload")


def test_32_a_time_stamp_that_is_none_is_refused(shop: Workshop, v2: PrivateSigstore) -> None:
    bundle = v2.bundle(shop.statement())
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps[0]["signedTimestamp"] = b64(b"nonsense")
    shop.bundle(bundle)
    refused(shop, v2, "the time stamp is not valid")


def test_33_an_authority_that_expired_before_the_leaf_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    """CVE-2026-24122."""
    v1.ca = v1.authority(v1.now - LATER, v1.now - timedelta(minutes=1))
    shop.bundle(v1.bundle(shop.statement()))
    refused(shop, v1, "no certificate authority of the trusted root")


def test_certificates_for_other_uses_are_refused(shop: Workshop, v1: PrivateSigstore) -> None:
    key = new_key()
    certificate = v1.certificate(key, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    shop.bundle(v1.bundle(shop.statement(), key, certificate))
    refused(shop, v1, "the certificate is not for code signing")


def test_a_certificate_of_another_key_than_signed_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    """The log took whatever it was given; the signature is checked all the same."""
    certificate = v1.certificate(new_key())
    shop.bundle(v1.bundle(shop.statement(), new_key(), certificate))
    refused(shop, v1, "the signature was not made with the certificate's key")


def test_a_legacy_signature_without_its_log_entry_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    payload = shop.payload()
    annotations = v1.legacy_annotations(payload)
    del annotations["dev.sigstore.cosign/bundle"]
    shop.legacy(payload, annotations)
    refused(shop, v1, "it has no log entry")


def test_a_legacy_log_entry_without_its_promise_is_refused(
    shop: Workshop, v1: PrivateSigstore
) -> None:
    payload = shop.payload()
    annotations = v1.legacy_annotations(payload)
    entry = json.loads(annotations["dev.sigstore.cosign/bundle"])
    entry["Payload"]["integratedTime"] += 1
    name = "dev.sigstore.cosign/bundle"
    shop.legacy(payload, annotations | {name: canonical(entry).decode()})
    refused(shop, v1, "the log did not sign the time of the entry")


def test_every_field_of_a_bundle_counts(shop: Workshop, v1: PrivateSigstore) -> None:
    """Each text inside the bundle, damaged in turn, is noticed, except those nothing rests on."""
    good = v1.bundle(shop.statement())
    accepted = []
    for path in _texts(good):
        bundle = copy.deepcopy(good)
        _damage(bundle, path)
        shop.registry.manifests = {
            key: one for key, one in shop.registry.manifests.items() if key[1] == shop.digest
        }
        shop.bundle(bundle)
        if shop.verify_keyless(v1).verified:
            accepted.append(path[-1])
    assert accepted == []


def _texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, str):
        yield path
    for key, one in (
        value.items() if isinstance(value, dict) else enumerate(value)
        if isinstance(value, list) else ()
    ):  # fmt: skip
        yield from _texts(one, (*path, key))


def _damage(bundle: Any, path: tuple[Any, ...]) -> None:
    for step in path[:-1]:
        bundle = bundle[step]
    text = bundle[path[-1]]
    middle = len(text) // 2
    other = "B" if text[middle] != "B" else "C"
    if text.isdigit():
        other = str((int(text[middle]) + 1) % 10)
    bundle[path[-1]] = text[:middle] + other + text[middle + 1 :]


def test_the_issuer_of_old_certificates_is_read_too() -> None:
    sigstore = PrivateSigstore()
    certificate = sigstore.certificate(new_key(), claims={12: "https://github.com/example/tools"})
    identity = read_certificate(certificate.public_bytes(Encoding.DER)).identity
    assert (identity.name, identity.issuer) == (NAME, ISSUER)
    assert identity.claims == {"source-repository": "https://github.com/example/tools"}
