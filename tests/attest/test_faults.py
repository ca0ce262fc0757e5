"""Signatures that prove nothing, one after the other, and those that look odd and are right.

The numbers are those of docs/security.md, "Signatures"; "cosign" is 3.1.1 of Debian sid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from builders.images import image
from builders.private_sigstore import (
    BUNDLE,
    IN_TOTO,
    b64,
    envelope,
    pae,
    sha,
    sign,
)
from builders.signed_images import (
    Workshop,
    platform_digest,
    reasons,
    seven_platforms,
    workshop,
)
from builders.small_registry import Manifest
from homeport.attest.attached.collecting import Attachment
from homeport.attest.keys.public_key import public_key
from homeport.attest.sigstore.trusted_root import Period
from homeport.attest.verification.candidate import SignedImage
from homeport.attest.verification.signers import KeySigner
from homeport.attest.verification.verify import Requirement, verify_attachments
from homeport.content.digest import Digest
from homeport.images.image import new_index
from homeport.oci import media_types
from homeport.oci.platform import parse_platform

OTHER = "sha256:" + "1" * 64


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


def refused(shop: Workshop, because: str, **options: Any) -> None:
    """The verdict is no, and the reason says why."""
    result = shop.verify(**options)
    assert not result.verified
    assert any(because in one for one in reasons(result)), reasons(result)


# Legacy signatures


@pytest.mark.parametrize(
    ("critical", "because"),
    [
        pytest.param(
            {"image": {"docker-manifest-digest": OTHER}}, "it is about another image", id="1"
        ),
        pytest.param(
            {"identity": {"docker-reference": "other.example/x"}},
            "it was made for other.example/x", id="2",
        ),
        pytest.param({"type": "atomic container signature"}, "has the type 'atomic", id="3"),
        pytest.param({"type": None}, "`str`, got `null`", id="3-absent"),
        pytest.param({"more": 1}, "unknown field `more`", id="4-unknown"),
        pytest.param({"Type": "x"}, "unknown field `Type`", id="4-case"),
    ],
)  # fmt: skip
def test_a_legacy_payload_about_something_else_is_refused(
    shop: Workshop, critical: dict[str, Any], because: str
) -> None:
    shop.legacy(shop.payload(**critical))
    refused(shop, because)


def test_2_a_repository_that_the_user_names_is_accepted(shop: Workshop) -> None:
    shop.legacy(shop.payload(identity={"docker-reference": "other.example/x:1.0"}))
    refused(shop, "other.example/x")
    assert shop.verify(signed_as=("other.example/x",)).verified


def test_4_duplicate_keys_are_refused_though_the_last_one_is_good(shop: Workshop) -> None:
    good = shop.payload().decode()
    bad = good.replace('"image":', f'"image":{{"docker-manifest-digest":"{OTHER}"}},"image":', 1)
    shop.legacy(bad.encode())
    refused(shop, "a key occurs twice")


def test_5_blanks_that_are_not_signed_are_refused_and_signed_ones_accepted(shop: Workshop) -> None:
    payload, spaced = shop.payload(), json.dumps(json.loads(shop.payload()), indent=2).encode()
    shop.legacy(spaced, signed=payload)
    refused(shop, "not signed with the key")
    shop.legacy(spaced)
    assert shop.verify().verified


def test_6_a_layer_of_another_type_is_no_signature(shop: Workshop) -> None:
    shop.legacy(shop.payload(), media_type="application/octet-stream")
    result = shop.verify()
    assert not result.verified
    assert result.subject.signatures == ()


@pytest.mark.parametrize(
    ("payload", "annotation", "because"),
    [
        (b"{} trailing", None, "not valid JSON"),
        (None, "not base64!", "the signature is not valid base64"),
        (None, "", "not signed with the key"),
    ],
    ids=["7-trailing", "7-base64", "7-empty"],
)
def test_damaged_legacy_signatures_are_refused(
    shop: Workshop, payload: bytes | None, annotation: str | None, because: str
) -> None:
    data = shop.payload() + payload if payload else shop.payload()
    given = None if annotation is None else {"dev.cosignproject.cosign/signature": annotation}
    shop.legacy(data, given)
    refused(shop, because)


def test_7_another_key_is_refused(shop: Workshop, tmp_path: Path) -> None:
    shop.key = ec.generate_private_key(ec.SECP256R1())
    shop.legacy(shop.payload())
    shop.bundle(shop.key_bundle(shop.statement()))
    result = shop.verify()
    assert len(reasons(result)) == 2
    assert all("it is not signed with the key of" in one for one in reasons(result))


# Bundles


def test_8_an_attestation_is_no_signature_and_cosign_takes_it_for_one(shop: Workshop) -> None:
    """CVE-2022-35930, CVE-2026-39395."""
    shop.bundle(shop.key_bundle(shop.statement("https://spdx.dev/Document")))
    result = shop.verify()
    assert not result.verified
    assert result.subject.missing == (f"no valid signature of {shop.folder / 'cosign.pub'}",)
    assert shop.verify(types=("spdx",)).verified
    assert not shop.verify(types=("spdx", "signature")).verified


@pytest.mark.parametrize("hint", ["", "AAAA", None])
def test_9_a_wrong_hint_decides_nothing(shop: Workshop, hint: str | None) -> None:
    material = {"publicKey": {"hint": hint} if hint is not None else {}}
    shop.bundle(shop.key_bundle(shop.statement(), verificationMaterial=material))
    assert shop.verify().verified


@pytest.mark.parametrize("order", [1, -1])
def test_10_of_two_signatures_neither_counts(shop: Workshop, order: int) -> None:
    payload = shop.statement()
    good, bad = sign(shop.key, pae(payload)), sign(shop.key, b"something else")
    whole = envelope(good, payload)
    whole["signatures"] = [{"sig": b64(one)} for one in (good, bad)[::order]]
    shop.bundle(shop.key_bundle(payload, dsseEnvelope=whole))
    refused(shop, "the envelope has 2 signatures, expected 1")


def test_11_another_payload_type_is_refused(shop: Workshop) -> None:
    payload = shop.statement()
    signature = sign(shop.key, pae(payload, "text/plain"))
    whole = envelope(signature, payload) | {"payloadType": "text/plain"}
    shop.bundle(shop.key_bundle(payload, dsseEnvelope=whole))
    refused(shop, "the payload type is 'text/plain'")


def test_11_a_signature_over_a_message_is_none_of_an_image(shop: Workshop) -> None:
    message = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": b64(sha(shop.value.document.raw))},
        "signature": b64(sign(shop.key, shop.value.document.raw)),
    }
    document = shop.key_bundle(shop.statement(), messageSignature=message)
    del document["dsseEnvelope"]
    shop.bundle(document)
    refused(shop, "images are signed by statements")


@pytest.mark.parametrize(
    ("digest", "because"),
    [
        pytest.param(lambda hex: {"sha256": "1" * 64}, "it is about another image", id="12"),
        pytest.param(lambda hex: {"sha256": hex.upper()}, "about another image", id="12-upper"),
        pytest.param(
            lambda hex: {"sha256": hex, "sha512": "1" * 128}, "names another sha512 digest",
            id="14",
        ),
        pytest.param(lambda hex: {}, "it is about another image", id="no-digest"),
    ],
)  # fmt: skip
def test_a_statement_about_another_image_is_refused(
    shop: Workshop, digest: Callable[[str], dict[str, str]], because: str
) -> None:
    subject = {"digest": digest(shop.digest[7:])}
    shop.bundle(shop.key_bundle(shop.statement(subject=[subject])))
    refused(shop, because)


def test_13_the_image_may_be_the_second_of_two_subjects(shop: Workshop) -> None:
    subjects = [{"digest": {"sha256": one}} for one in ("1" * 64, shop.digest[7:])]
    shop.bundle(shop.key_bundle(shop.statement(subject=subjects)))
    assert shop.verify().verified


@pytest.mark.parametrize(
    ("type", "accepted"), [("v1", True), ("v0.1", True), ("v9", False), ("v1.0", False)]
)
def test_15_statements_of_known_versions_count(shop: Workshop, type: str, accepted: bool) -> None:
    fields = {"_type": f"https://in-toto.io/Statement/{type}"}
    shop.bundle(shop.key_bundle(shop.statement(**fields)))
    assert shop.verify().verified is accepted


@pytest.mark.parametrize(
    "fields",
    [
        {"mediaType": "application/vnd.dev.sigstore.bundle.v0.4+json"},
        {"mediaType": None},
        {"somethingNew": {}},
    ],
)
def test_16_an_unknown_version_is_not_taken_for_unsigned(
    shop: Workshop, fields: dict[str, Any]
) -> None:
    shop.bundle(shop.key_bundle(shop.statement(), **fields))
    (one,) = shop.verify().subject.signatures
    assert one.verdict == "rejected"
    assert one.hint == "a newer homeport may read it"


def test_17_the_other_spelling_of_the_version_is_accepted(shop: Workshop) -> None:
    other = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    shop.bundle(shop.key_bundle(shop.statement(), mediaType=other))
    assert shop.verify().verified


def test_17_url_safe_base64_is_refused(shop: Workshop) -> None:
    payload = shop.statement(predicate={"text": "???>>>~~~" * 9})
    document = shop.key_bundle(payload)
    text = document["dsseEnvelope"]["payload"].replace("+", "-").replace("/", "_")
    assert text != document["dsseEnvelope"]["payload"]
    document["dsseEnvelope"]["payload"] = text
    shop.bundle(document)
    refused(shop, "the payload is not valid base64")


def test_18_a_manifest_that_refers_to_another_image_is_refused(shop: Workshop) -> None:
    """As the fallback tag lists it; the registry's own list would not."""
    other = {"mediaType": media_types.OCI_MANIFEST, "digest": OTHER, "size": 3}
    digest = shop.bundle(shop.key_bundle(shop.statement()), subject=other)
    shop.put(
        {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX,
         "manifests": [{"mediaType": media_types.OCI_MANIFEST, "digest": digest,
                        "size": len(shop.registry.manifests[shop.name, digest].raw),
                        "artifactType": BUNDLE}]},
        shop.digest.replace(":", "-"),
    )  # fmt: skip
    refused(shop, f"its manifest refers to {OTHER}")


# Lists of referrers


def test_19_the_image_itself_behind_the_fallback_tag_is_no_list(tmp_path: Path) -> None:
    """GHCR answers so."""
    with workshop(tmp_path, seven_platforms(), referrers=False) as shop:
        shop.registry.tags[shop.name, shop.digest.replace(":", "-")] = shop.digest
        result = shop.verify()
        assert not result.verified
        assert result.subject.signatures == ()
        shop.legacy(shop.payload())
        assert shop.verify().verified


@pytest.mark.parametrize("type", ["", media_types.OCI_EMPTY, "application/spdx+json", BUNDLE])
def test_20_what_the_list_says_of_the_type_decides_nothing(tmp_path: Path, type: str) -> None:
    with workshop(tmp_path, referrers=False) as shop:
        digest = shop.bundle(shop.key_bundle(shop.statement()))
        entry = {
            "mediaType": media_types.OCI_MANIFEST, "digest": digest, "artifactType": type,
            "size": len(shop.registry.manifests[shop.name, digest].raw),
        }  # fmt: skip
        document = {
            "schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]
        }  # fmt: skip
        shop.put(document, shop.digest.replace(":", "-"))
        assert shop.verify().verified


def test_20_the_fallback_tag_is_read_beside_a_list_of_the_registry(shop: Workshop) -> None:
    """A registry that learned the API may not know what its clients listed before."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    ours, shop.key = shop.key, stranger
    shop.bundle(shop.key_bundle(shop.statement()))
    shop.key = ours
    digest = shop.bundle(shop.key_bundle(shop.statement()))
    hidden = shop.registry.manifests[shop.name, digest]
    document = {
        "schemaVersion": 2, "mediaType": media_types.OCI_INDEX,
        "manifests": [{"mediaType": media_types.OCI_MANIFEST, "digest": digest,
                       "size": len(hidden.raw), "artifactType": BUNDLE}],
    }  # fmt: skip
    shop.put(document, shop.digest.replace(":", "-"))
    shop.registry.subjects = lambda *_: []  # type: ignore[method-assign]
    assert shop.verify().verified


def test_21_a_strangers_bundle_does_not_hide_our_signature(shop: Workshop) -> None:
    shop.legacy(shop.payload())
    shop.key = ec.generate_private_key(ec.SECP256R1())
    shop.bundle(shop.key_bundle(shop.statement()))
    assert shop.verify().verified


# Bounds


def test_22_too_many_signatures_under_a_tag_are_not_read(shop: Workshop) -> None:
    shop.legacy(shop.payload())
    tag = shop.digest.replace(":", "-") + ".sig"
    document = json.loads(
        shop.registry.manifests[shop.name, shop.registry.tags[shop.name, tag]].raw
    )
    document["layers"] *= 1500
    shop.put(document, tag)
    refused(shop, "1500 signatures, more than 1000")


def test_22_a_huge_payload_is_not_read(shop: Workshop) -> None:
    shop.legacy(shop.payload(), signed=b"x")
    shop.legacy(b" " * (2 << 20))
    refused(shop, "2.10 MB, more than 1.05 MB")


@pytest.mark.parametrize("depth", [900, 5_000, 200_000])
def test_22_deep_nesting_is_an_error_not_a_crash(shop: Workshop, depth: int) -> None:
    deep = b'{"critical":' + b"[" * depth + b"]" * depth + b"}"
    shop.legacy(deep)
    payload = shop.statement().replace(b'"predicate":{}', b'"predicate":{"a":' + b"[" * depth
                                       + b"]" * depth + b"}")  # fmt: skip
    shop.bundle(shop.key_bundle(payload))
    result = shop.verify()
    assert result.subject.signatures[0].verdict == "rejected"


def test_23_endless_referrers_are_read_up_to_a_bound(shop: Workshop) -> None:
    for number in range(130):
        shop.bundle(b"{}", annotations={"number": str(number)})
    refused(shop, "130 referrers, of which 100 were read")


def test_23_all_attachments_together_have_a_bound(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.attest.attached.collecting.TOTAL_SIZE", 1000)
    for number in range(5):
        shop.legacy(b"%d" % number * 300)
    refused(shop, "the image's attachments are larger than 1.00 kB")


# Keys, thresholds and digests


def test_34_a_key_is_refused_after_its_end(shop: Workshop) -> None:
    """GHSA-wqqc-jjcq-vfxm."""
    payload = shop.statement()
    attachment = Attachment(
        form="bundle", artifact=OTHER, content=json.dumps(shop.key_bundle(payload)).encode()
    )
    signed = SignedImage(digest=Digest.parse(shop.digest), manifest=lambda: shop.value.document.raw)
    end = datetime(2026, 6, 1, tzinfo=UTC)
    signer = KeySigner(
        name="release", keys=(public_key(shop.key.public_key()),), period=Period(None, end)
    )

    def at(time: datetime) -> bool:
        requirement = Requirement(signers=(signer,))
        return verify_attachments([attachment], signed, requirement, clock=lambda: time).verified

    assert at(end - timedelta(days=1))
    assert not at(end + timedelta(days=1))


def test_35_two_signatures_of_one_signer_do_not_make_two_signers(
    shop: Workshop, tmp_path: Path
) -> None:
    """GHSA-9vcr-p3rj-q5q6: thresholds were counted per statement."""
    shop.legacy(shop.payload())
    shop.bundle(shop.key_bundle(shop.statement()))
    ours = tmp_path / "cosign.pub"
    again = tmp_path / "again.pub"
    again.write_bytes(ours.read_bytes())
    other = ec.generate_private_key(ec.SECP256R1())
    second = tmp_path / "second.pub"
    second.write_bytes(public_key(other.public_key()).pem)
    keys = tuple(str(path) for path in (ours, again, second))
    assert shop.verify(keys=keys).verified
    result = shop.verify(keys=keys, threshold=2)
    assert "signature: 1 of 2 required signers" in result.subject.missing[0]
    shop.key = other
    shop.bundle(shop.key_bundle(shop.statement()))
    assert shop.verify(keys=keys, threshold=2).verified


def test_36_what_was_resolved_is_what_is_verified(shop: Workshop) -> None:
    """GHSA-xhg5-42rf-296r: the tag moves to another image while it is verified."""
    shop.legacy(shop.payload())
    evil = image(annotations={"evil": "yes"})
    shop.registry.manifests[shop.name, str(evil.digest)] = Manifest(
        raw=evil.document.raw, media_type=media_types.OCI_MANIFEST
    )
    assert shop.verify().digest == shop.digest
    shop.registry.tags[shop.name, "1"] = str(evil.digest)
    result = shop.verify()
    assert result.digest == str(evil.digest)
    assert not result.verified


def test_36_bytes_that_are_not_the_digest_are_refused(shop: Workshop) -> None:
    shop.legacy(shop.payload())
    for (name, digest), data in list(shop.registry.blobs.items()):
        if b"critical" in data:
            shop.registry.blobs[name, digest] = data.replace(b"cosign", b"COSIGN")
    result = shop.verify()
    assert not result.verified


def test_38_a_statement_about_one_platform_is_none_about_another(tmp_path: Path) -> None:
    value = seven_platforms()
    amd64, arm64 = (
        platform_digest(value, parse_platform(f"linux/{name}")) for name in ("amd64", "arm64")
    )
    with workshop(tmp_path, value) as shop:
        statement = shop.statement(
            "https://spdx.dev/Document", subject=[{"digest": {"sha256": arm64[7:]}}]
        )
        shop.bundle(
            shop.key_bundle(statement),
            subject={"mediaType": media_types.OCI_MANIFEST, "digest": amd64, "size": 1},
        )
        address = f"{shop.repository}@{amd64}"
        result = shop.verify(address, types=("spdx",))
        assert not result.verified
        assert "it is about another image" in reasons(result)[0]


def test_38_a_platform_in_a_new_index_is_not_covered_by_the_signature_of_the_old(
    tmp_path: Path,
) -> None:
    value = seven_platforms()
    with workshop(tmp_path, value) as shop:
        shop.legacy(shop.payload())
        assert shop.verify().verified
        swapped = new_index([value.children[1], *value.children[1:]])
        shop.registry.manifests[shop.name, str(swapped.digest)] = Manifest(
            raw=swapped.document.raw, media_type=media_types.OCI_INDEX
        )
        shop.registry.tags[shop.name, "1"] = str(swapped.digest)
        assert not shop.verify().verified


@pytest.mark.parametrize(
    "fields",
    [{"predicate": None}, {"predicate": "text"}, {"predicateType": ""}, {"subject": []}],
    ids=["41-null", "41-text", "41-type", "41-subject"],
)
def test_incomplete_statements_are_errors_of_the_signature(
    shop: Workshop, fields: dict[str, Any]
) -> None:
    """cosign panics on some (#4649 to #4653)."""
    shop.bundle(shop.key_bundle(shop.statement(**fields)))
    result = shop.verify()
    assert not result.verified
    assert len(reasons(result)) == 1


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b'{"mediaType":1}', b"\xff", b"NaN", b"{"])
def test_41_bundles_that_are_none_are_errors_of_the_signature(shop: Workshop, raw: bytes) -> None:
    shop.bundle(raw)
    assert len(reasons(shop.verify())) == 1


def test_41_an_empty_payload_is_refused(shop: Workshop) -> None:
    whole = envelope(sign(shop.key, pae(b"")), b"") | {"payloadType": IN_TOTO}
    shop.bundle(shop.key_bundle(b"", dsseEnvelope=whole))
    refused(shop, "the payload is empty")


def test_nothing_is_printed_of_what_a_stranger_wrote_without_its_control_characters(
    shop: Workshop,
) -> None:
    shop.bundle(shop.key_bundle(shop.statement(_type="\x1b[31mred\nline")))
    refused(shop, r"\x1b[31mred\nline")
