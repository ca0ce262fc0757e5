"""sigstore-python must agree on bundles with certificates, except where ours is stricter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sigstore import verify as sigstore_verify
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify.policy import Identity

from builders.private_sigstore import ISSUER, NAME, OpensslTsa, PrivateSigstore, at, b64
from builders.signed_images import Workshop, workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


def agrees(bundle: dict[str, Any], root: Path) -> bool:
    """Whether sigstore-python accepts the bundle for our identity."""
    verifier = sigstore_verify.Verifier(trusted_root=TrustedRoot.from_file(str(root)))
    try:
        found = Bundle.from_json(json.dumps(bundle))
        verifier.verify_dsse(found, Identity(identity=NAME, issuer=ISSUER))
    except Exception:
        return False
    return True


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


Change = Callable[[dict[str, Any], PrivateSigstore], object]
CHANGES: dict[str, Change] = {
    "good": lambda bundle, sigstore: None,
    "other-payload": lambda b, s: b["dsseEnvelope"].update(payload=b64(b"{}")),
    "no-proof": lambda b, s: entry(b).pop("inclusionProof"),
    "no-entry": lambda b, s: b["verificationMaterial"].update(tlogEntries=[]),
    "twice": lambda b, s: b["verificationMaterial"]["tlogEntries"].append(entry(b)),
    "other-log": lambda b, s: entry(b)["logId"].update(keyId=b64(b"x" * 32)),
    "other-index": lambda b, s: entry(b)["inclusionProof"].update(logIndex="0"),
    "later-checkpoint": lambda b, s: (
        s.leaves.append(b"later"),
        entry(b)["inclusionProof"]["checkpoint"].update(envelope=s.checkpoint()),
    ),
    "two-signatures": lambda b, s: b["dsseEnvelope"]["signatures"].append({"sig": b64(b"x")}),
    "other-version": lambda b, s: b.update(
        mediaType="application/vnd.dev.sigstore.bundle.v0.9+json"
    ),
    "no-timestamp-and-no-promise": lambda b, s: (
        entry(b).pop("inclusionPromise", None),
        b["verificationMaterial"].pop("timestampVerificationData", None),
    ),
}


@pytest.mark.parametrize("v2", [False, True], ids=["rekor-v1", "rekor-v2"])
@pytest.mark.parametrize("name", CHANGES)
def test_both_verifiers_say_the_same(shop: Workshop, tmp_path: Path, name: str, v2: bool) -> None:
    sigstore = PrivateSigstore(v2=v2)
    if v2:
        sigstore.tsa = OpensslTsa(tmp_path / "tsa", sigstore.now)
    bundle = sigstore.bundle(shop.statement())
    CHANGES[name](bundle, sigstore)
    shop.bundle(bundle)
    ours = shop.verify_keyless(sigstore).verified
    assert ours is (name == "good")
    assert agrees(bundle, sigstore.write_root(tmp_path / "root.json")) is ours


def certificates(sigstore: PrivateSigstore, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return {
        "other-name": sigstore.certificate(key, f"{NAME}x"),
        "other-issuer": sigstore.certificate(key, issuer="https://gitlab.com"),
        "no-sct": sigstore.certificate(key, with_sct=False),
        "other-ct-log": sigstore.certificate(key, ct_key=ec.generate_private_key(ec.SECP256R1())),
        "expired": sigstore.certificate(key, start=sigstore.now - timedelta(hours=1)),
        "not-yet-valid": sigstore.certificate(key, start=sigstore.now + timedelta(hours=1)),
    }


@pytest.mark.parametrize(
    "name", certificates(PrivateSigstore(), ec.generate_private_key(ec.SECP256R1()))
)
def test_both_verifiers_refuse_the_same_certificates(
    shop: Workshop, tmp_path: Path, name: str
) -> None:
    sigstore, key = PrivateSigstore(), ec.generate_private_key(ec.SECP256R1())
    bundle = sigstore.bundle(shop.statement(), key, certificates(sigstore, key)[name])
    shop.bundle(bundle)
    assert not shop.verify_keyless(sigstore).verified
    assert not agrees(bundle, sigstore.write_root(tmp_path / "root.json"))


@pytest.mark.parametrize("what", ["tlogs", "certificateAuthorities"])
def test_ours_alone_refuses_windows_that_had_ended(
    shop: Workshop, tmp_path: Path, what: str
) -> None:
    """If this fails, sigstore-python has learned it: docs/decisions/verifier.md must change."""
    sigstore = PrivateSigstore()
    bundle = sigstore.bundle(shop.statement())
    root = sigstore.trusted_root()
    for one in root[what]:
        one.get("publicKey", one)["validFor"]["end"] = at(sigstore.now - timedelta(hours=1))
    sigstore.trusted_root = lambda: root  # type: ignore[method-assign]
    shop.bundle(bundle)
    assert not shop.verify_keyless(sigstore).verified
    assert agrees(bundle, sigstore.write_root(tmp_path / "root.json"))
