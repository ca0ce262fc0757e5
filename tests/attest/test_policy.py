"""Policies: which rule holds, what its verdict means, and the chain of Docker's helper images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec

from builders.images import SEVEN, image
from builders.private_sigstore import PrivateSigstore, b64, spki
from builders.signed_images import Workshop, seven_platforms, workshop
from builders.small_registry import SmallRegistry, small_registry
from homeport.attest.errors import NotVerified
from homeport.attest.policy.model import PolicyRule, SignaturePolicy
from homeport.attest.policy.reading import parse_policy, shipped_policy
from homeport.attest.policy.versions import is_before, ref_mismatch
from homeport.cli.main import homeport
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.errors import Faults, HomeportError, UsageError
from homeport.images.address import parse_destination
from homeport.images.image import (
    ATTESTATION_DIGEST,
    ATTESTATION_TYPE,
    Child,
    Image,
    Index,
    child_of,
    new_index,
)
from homeport.oci import media_types
from homeport.oci.documents import Descriptor, Manifest, written
from homeport.oci.platform import UNKNOWN

BUILDER = "https://github.com/docker/github-builder/.github/workflows/bake.yml@refs/tags/v1"
ATTESTATION = "application/vnd.docker.attestation.manifest.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
SOURCE = "https://github.com/moby/buildkit"
CLAIMS = {9: BUILDER, 11: "github-hosted", 12: SOURCE, 14: "refs/tags/dockerfile/1.21.3"}


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


@pytest.fixture
def home() -> Iterator[SmallRegistry]:
    with small_registry() as made:
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def policy_file(shop: Workshop, text: str) -> Path:
    """A policy beside the key of the workshop; HOST is its registry."""
    path = shop.folder / "policy.yaml"
    whole = "schema: homeport-policy/v1\n" + text.replace("HOST", shop.registry.host)
    path.write_text(whole)
    return path


WITH_KEY = """
identities:
  us: {keys: [cosign.pub]}
images:
  - {match: [HOST/a/b], identity: [us]}
"""


# Which rule holds


def test_what_ships_is_a_valid_policy_whose_keys_and_roots_can_be_read() -> None:
    loaded = shipped_policy({})
    named = {rule.match[0]: rule for rule in loaded.policy.images}
    assert {"docker.io/docker/dockerfile", "docker.io/moby/buildkit"} <= named.keys()
    for rule in loaded.policy.images:
        assert bool(loaded.signers(rule)) is not rule.unsigned


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("docker.io/docker/dockerfile", "docker.io/docker/dockerfile"),
        ("docker.io/docker/dockerfile-upstream", "docker.io/docker/dockerfile"),
        ("docker.io/docker/dockerfile-other", None),
        ("docker.io/library/debian", "docker.io/library/*"),
        ("gcr.io/distroless/static", "gcr.io/distroless/*"),
        ("gcr.io/distrolessx/static", None),
        ("evil.example/docker.io/docker/dockerfile", None),
    ],
)
def test_images_are_matched_by_whole_repositories_and_prefixes(
    repository: str, expected: str | None
) -> None:
    found = shipped_policy({}).policy.rule_for(repository)
    assert (found.match[0] if found else None) == expected


def test_the_most_specific_pattern_wins() -> None:
    rules = [PolicyRule(match=(one,), unsigned=True) for one in ("r/*", "r/a/*", "r/a/b", "r/a/b*")]
    policy = SignaturePolicy(images=tuple(rules))
    for repository, expected in (("r/x", "r/*"), ("r/a/x", "r/a/*"), ("r/a/b", "r/a/b"),
                                 ("r/a/bc", "r/a/b*")):  # fmt: skip
        found = policy.rule_for(repository)
        assert found is not None
        assert found.match == (expected,)


RULE = PolicyRule(
    match=("x",), since="1.21", ref=("refs/tags/dockerfile/{version}",), variants=("-labs",),
    strip=("-rootless",), floating=("latest", "nightly*"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("tag", "ref", "accepted"),
    [
        ("1.21", "refs/tags/dockerfile/1.21.3", True),
        ("1.21.3", "refs/tags/dockerfile/1.21.3", True),
        ("1", "refs/tags/dockerfile/1.30.0", True),
        ("v1.21", "refs/tags/dockerfile/1.21.3", True),
        ("1.21-rootless", "refs/tags/dockerfile/1.21.3", True),
        ("1.2", "refs/tags/dockerfile/1.21.3", False),
        ("1.21.3", "refs/tags/dockerfile/1.21.4", False),
        ("2", "refs/tags/dockerfile/1.21.3", False),
        ("1.21", "refs/heads/master", False),
        ("1.21", "", False),
        ("1.21-labs", "refs/tags/dockerfile/1.21.3-labs", True),
        ("1.21-labs", "refs/tags/dockerfile/1.21.3", False),
        ("1.21", "refs/tags/dockerfile/1.21.3-labs", False),
        ("latest", "refs/heads/master", True),
        ("nightly-2026", "refs/heads/master", True),
        ("something", "refs/heads/master", True),
        ("", "refs/heads/master", True),
    ],
)
def test_a_version_tag_must_fit_the_ref_it_was_built_from(
    tag: str, ref: str, accepted: bool
) -> None:
    assert (ref_mismatch(tag, ref, RULE) == "") is accepted


@pytest.mark.parametrize(
    ("tag", "before"),
    [("1.20", True), ("1.21", False), ("1", False), ("0.9-labs", True), ("latest", False)],
)
def test_versions_from_before_signatures_are_known(tag: str, before: bool) -> None:
    assert is_before(tag, RULE) is before


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("images: [{match: [r/a], identity: [nobody]}]", "unknown identity 'nobody'"),
        ("images: [{match: ['r/*/b'], unsigned: true}]", "invalid pattern 'r/*/b'"),
        ("images: [{match: [r/a]}]", "exactly one of identity and unsigned"),
        ("identities: {a: {keys: [k], san: [x], issuer: y}}", "exactly one of keys and san"),
        ("identities: {a: {san: [x]}}", "san and issuer are required together"),
        ("identities: {a: {keys: [k], from: tomorrow}}", "invalid date 'tomorrow'"),
        ("identities: {a: {keyz: [k]}}", "unknown field 'keyz'"),
        ("images: [{match: [r/a], unsigned: true, since: x}]", "invalid version 'x'"),
        ("default: maybe", "expected one of reject, warn"),
        ("schema: homeport-policy/v9", "unknown schema"),
        ("[", "YAML"),
    ],
)
def test_faults_of_a_policy_are_named(text: str, because: str) -> None:
    with pytest.raises(HomeportError) as found:
        parse_policy(text.encode(), "policy.yaml", {})
    faults = found.value.faults if isinstance(found.value, Faults) else (found.value,)
    assert any(because in one.what for one in faults), [one.what for one in faults]


def test_one_file_serves_audit_too(shop: Workshop) -> None:
    path = policy_file(shop, WITH_KEY + "deny: [floating]\nallow_registries: [r.example]\n")
    (shop.folder / "tree").mkdir()
    (shop.folder / "tree/Dockerfile").write_text("FROM debian:13\n")
    audited = run("audit", str(shop.folder / "tree"), "--policy", str(path))
    assert audited.exception is not None
    assert audited.exception.exit_code == 3  # type: ignore[attr-defined]
    shop.legacy(shop.payload())
    assert run("verify", shop.address, "--policy", str(path)).exception is None


# Before anything is copied


def test_import_refuses_what_a_rule_matches_and_nobody_signed(
    shop: Workshop, home: SmallRegistry
) -> None:
    path = policy_file(shop, WITH_KEY)
    arguments = ("import", shop.address, f"{home.host}/m/b:1", "--policy", str(path))
    refused = run(*arguments)
    assert isinstance(refused.exception, NotVerified)
    assert refused.exception.exit_code == 3
    assert "no valid signature of us" in refused.exception.what
    assert (home.blobs, home.manifests, home.tags) == ({}, {}, {})
    shop.bundle(shop.key_bundle(shop.statement()))
    done = run(*arguments, "--format", "json")
    assert done.exception is None
    assert json.loads(done.stdout)["signature"] == "verified"
    assert ("m/b", "1") in home.tags


def test_a_tag_that_was_moved_to_a_fake_is_refused(shop: Workshop, home: SmallRegistry) -> None:
    path = policy_file(shop, WITH_KEY)
    shop.legacy(shop.payload())
    fake = seven_platforms()
    shop.app.destination(_address(shop)).write(fake, shop.app.runtime)
    refused = run("import", shop.address, f"{home.host}/m/b:1", "--policy", str(path))
    assert isinstance(refused.exception, NotVerified)
    assert refused.exception.where["digest"] == str(fake.digest)
    assert home.tags == {}


def test_without_a_rule_import_warns_unless_a_signature_is_required(
    shop: Workshop, home: SmallRegistry
) -> None:
    target = f"{home.host}/m/b:1"
    refused = run("import", shop.address, target, "--require-signature")
    assert "in a policy, and name it: --policy FILE" in str(getattr(refused.exception, "hint", ""))
    unknown = run("verify", shop.address)
    assert "--key cosign.pub, --identity" in str(getattr(unknown.exception, "hint", ""))
    assert isinstance(refused.exception, NotVerified)
    assert home.tags == {}
    path = policy_file(shop, "default: reject\n")
    assert isinstance(run("import", shop.address, target, "--policy", str(path)).exception,
                      NotVerified)  # fmt: skip
    warned = run("import", shop.address, target)
    assert warned.exception is None
    assert "warning: " in warned.stderr
    assert "signature not verified: no rule of the policy that ships with homeport" in warned.stderr
    quiet = run("import", shop.address, target, "--no-verify")
    assert "warning" not in quiet.stderr


def test_rules_may_only_warn(shop: Workshop, home: SmallRegistry) -> None:
    path = policy_file(shop, WITH_KEY.replace("[us]}", "[us], enforce: warn}"))
    arguments = ("import", shop.address, f"{home.host}/m/b:1", "--policy", str(path))
    done = run(*arguments)
    assert done.exception is None
    assert "signature not verified: no valid signature of us" in done.stderr
    assert isinstance(run(*arguments, "--require-signature").exception, NotVerified)
    assert isinstance(run("verify", shop.address, "--policy", str(path)).exception, NotVerified)


def test_mirror_refuses_one_image_and_copies_the_others(
    shop: Workshop, home: SmallRegistry
) -> None:
    path = policy_file(shop, WITH_KEY)
    shop.legacy(shop.payload())
    shop.app.destination(_address(shop, "2")).write(seven_platforms(), shop.app.runtime)
    done = run("mirror", shop.repository, f"{home.host}/m/b", "--all-tags", "--policy", str(path),
               "--format", "json")  # fmt: skip
    rows = {one["source"].rpartition(":")[2]: one for one in json.loads(done.stdout)["images"]}
    assert "digest" in rows["1"]
    assert rows["2"]["error"]["id"] == "not-verified"
    assert done.exception is not None
    assert done.exception.exit_code == 3  # type: ignore[attr-defined]
    assert [tag for _, tag in home.tags] == ["1"]


def test_options_that_contradict_each_other_are_usage_errors(shop: Workshop) -> None:
    result = run("import", shop.address, "r.example/x:1", "--no-verify", "--require-signature")
    assert isinstance(result.exception, UsageError)


def test_an_image_that_came_home_keeps_verifying_there(shop: Workshop, home: SmallRegistry) -> None:
    """Its legacy signature names upstream; the bundle names no repository."""
    shop.legacy(shop.payload())
    path = policy_file(shop, WITH_KEY)
    target = f"{home.host}/m/b:1"
    assert run("import", shop.address, target, "--policy", str(path)).exception is None
    path = policy_file(
        shop,
        WITH_KEY + f"  - {{match: ['{home.host}/m/*'], identity: [us], signed_as: [HOST/a/b]}}\n",
    )
    assert run("verify", target, "--policy", str(path)).exception is None
    path = policy_file(shop, WITH_KEY + f"  - {{match: ['{home.host}/m/*'], identity: [us]}}\n")
    assert isinstance(run("verify", target, "--policy", str(path)).exception, NotVerified)


def test_attestations_may_be_required_too(shop: Workshop) -> None:
    path = policy_file(shop, WITH_KEY.replace("[us]}", "[us], attestations: [slsa]}"))
    shop.legacy(shop.payload())
    missing = run("verify", shop.address, "--policy", str(path))
    assert isinstance(missing.exception, NotVerified)
    assert "attestation https://slsa.dev/provenance/v1" in missing.exception.what
    shop.bundle(shop.key_bundle(shop.statement("https://slsa.dev/provenance/v1")))
    assert run("verify", shop.address, "--policy", str(path)).exception is None


@pytest.mark.parametrize("log", ["optional", "required"])
def test_40_a_key_signature_without_log_entry_counts_where_the_policy_says_so(
    shop: Workshop, log: str
) -> None:
    """As Docker's hardened images, some of which are in no log on purpose."""
    text = WITH_KEY.replace("[cosign.pub]}", f"[cosign.pub], log: {log}, trusted_root: root.json}}")
    path = policy_file(shop, text)
    PrivateSigstore().write_root(shop.folder / "root.json")
    shop.bundle(shop.key_bundle(shop.statement()))
    result = run("verify", shop.address, "--policy", str(path))
    assert isinstance(result.exception, NotVerified) is (log == "required")


def test_a_key_in_the_policy_is_read_in_its_der_form(shop: Workshop) -> None:
    path = policy_file(shop, WITH_KEY.replace("cosign.pub", f'"{b64(spki(shop.key))}"'))
    shop.legacy(shop.payload())
    assert run("verify", shop.address, "--policy", str(path)).exception is None


# Docker's chain


def attestation_manifest(platform: Image, **changes: Any) -> Image:
    """What BuildKit writes beside a platform (``oci-artifact=true``); ``changes`` break it."""
    statement = BytesBlob(b'{"predicate":{}}' + platform.digest.hex.encode())
    empty = BytesBlob(b"{}")
    layer = Descriptor(
        media_type=IN_TOTO, digest=str(statement.digest), size=statement.size,
        annotations={"in-toto.io/predicate-type": changes.pop(
            "predicate", "https://slsa.dev/provenance/v1"
        )},
    )  # fmt: skip
    fields: dict[str, Any] = {
        "artifact_type": ATTESTATION, "subject": platform.document.descriptor()
    } | changes  # fmt: skip
    manifest = Manifest(
        schema_version=2, media_type=media_types.OCI_MANIFEST, layers=(layer,),
        config=Descriptor(
            media_type=media_types.OCI_EMPTY, digest=str(empty.digest), size=empty.size
        ), **fields,
    )  # fmt: skip
    return Image(
        document=written(manifest, media_types.OCI_MANIFEST),
        blobs={statement.digest: statement, empty.digest: empty},
    )


def attested_index(*pairs: tuple[Image, Image | None]) -> Index:
    children: list[Child] = [child_of(platform) for platform, _ in pairs]
    for platform, attestation in pairs:
        if attestation is not None:
            entry = Descriptor(
                media_type=media_types.OCI_MANIFEST, digest=str(attestation.digest),
                size=attestation.document.size, platform=UNKNOWN,
                annotations={
                    ATTESTATION_TYPE: "attestation-manifest",
                    ATTESTATION_DIGEST: str(platform.digest),
                },
            )  # fmt: skip
            children.append(Child(descriptor=entry, opener=lambda value=attestation: value))  # type: ignore[misc]
    return new_index(children)


DOCKER = """
identities:
  docker-github-builder:
    issuer: https://token.actions.githubusercontent.com
    san: ["https://github.com/docker/github-builder/.github/workflows/*"]
    build_signer: "https://github.com/docker/github-builder/.github/workflows/*"
    runner: github-hosted
    signs: attestation-manifest
    forms: [bundle]
    trusted_root: root.json
images:
  - match: [HOST/a/b]
    identity: [docker-github-builder]
    repository: https://github.com/moby/buildkit
    floating: [latest]
    since: "1.21"
    ref: ["refs/tags/dockerfile/{version}"]
"""


class Dockerfile:
    """``docker/dockerfile`` of a Docker of our own: two platforms, each signed by the builder."""

    def __init__(self, shop: Workshop, *attestations: dict[str, Any] | None) -> None:
        self.shop = shop
        self.sigstore = PrivateSigstore()
        self.sigstore.write_root(shop.folder / "root.json")
        self.policy = policy_file(shop, DOCKER)
        platforms = [image(str(one)) for one in SEVEN[: len(attestations)]]
        self.attestations = [
            attestation_manifest(one, **changes) if changes is not None else None
            for one, changes in zip(platforms, attestations, strict=True)
        ]
        self.value = attested_index(*zip(platforms, self.attestations, strict=True))
        for tag in ("latest", "1.21", "1.20", "1.22"):
            shop.app.destination(_address(shop, tag)).write(self.value, shop.app.runtime)

    def sign(self, number: int, claims: dict[int, str] | None = None, name: str = BUILDER) -> None:
        target = self.attestations[number]
        assert target is not None
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sigstore.certificate(key, name, claims=CLAIMS | (claims or {}))
        subject = {"digest": {"sha256": target.digest.hex}}
        bundle = self.sigstore.bundle(self.shop.statement(subject=[subject]), key, certificate)
        descriptor = {"mediaType": media_types.OCI_MANIFEST, "digest": str(target.digest),
                      "size": target.document.size}  # fmt: skip
        self.shop.bundle(bundle, subject=descriptor)

    def verify(self, tag: str = "latest") -> str:
        """Why it is refused, or ``""``."""
        result = run("verify", f"{self.shop.repository}:{tag}", "--policy", str(self.policy))
        return result.exception.what if isinstance(result.exception, HomeportError) else ""


def test_dockers_images_are_verified_by_their_chain(shop: Workshop, home: SmallRegistry) -> None:
    docker = Dockerfile(shop, {}, {})
    docker.sign(0)
    assert "linux/arm64: no valid signature of docker-github-builder" in docker.verify()
    docker.sign(1)
    assert docker.verify() == ""
    assert docker.verify("1.21") == ""
    assert "the tag 1.22 is not of the version that was built" in docker.verify("1.22")
    assert "1.20 is older than 1.21" in docker.verify("1.20")
    done = run("import", f"{shop.repository}:latest", f"{home.host}/m/dockerfile:latest",
               "--policy", str(docker.policy), "--platform", "linux/amd64")  # fmt: skip
    assert done.exception is None, done.exception
    bundles = [one for (_, _), one in home.manifests.items() if b"sigstore.bundle" in one.raw]
    assert bundles


@pytest.mark.parametrize(
    ("claims", "name", "because"),
    [
        ({12: "https://github.com/evil/fork"}, BUILDER, "source-repository"),
        ({11: "self-hosted"}, BUILDER, "runner"),
        ({9: "https://github.com/evil/x"}, BUILDER, "build-signer-uri"),
        ({}, "https://github.com/evil/github-builder/.github/workflows/bake.yml", "the signer is"),
    ],
)
def test_a_chain_signed_by_another_workflow_is_refused(
    shop: Workshop, claims: dict[int, str], name: str, because: str
) -> None:
    docker = Dockerfile(shop, {})
    docker.sign(0, claims, name)
    assert because in docker.verify()


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"subject": None}, "has no subject"),
        ({"artifact_type": "x/y"}, "has no subject"),
        (None, "no attestation manifest"),
        ({"predicate": "https://spdx.dev/Document"}, "has no provenance"),
        (
            {"subject": Descriptor(media_type=media_types.OCI_MANIFEST, size=9,
                                   digest=str(Digest.of(b"x")))},
            "is about another image",
        ),
    ],
    ids=["39-subject", "39-type", "39-none", "39-slsa", "39-other"],
)  # fmt: skip
def test_a_broken_chain_is_refused(
    shop: Workshop, changes: dict[str, Any] | None, because: str
) -> None:
    docker = Dockerfile(shop, changes)
    if changes is not None:
        docker.sign(0)
    assert because in docker.verify()


def test_39_a_subject_of_the_wrong_size_is_refused(shop: Workshop) -> None:
    platform = image(str(SEVEN[0]))
    right = platform.document.descriptor()
    wrong = Descriptor(media_type=right.media_type, digest=right.digest, size=right.size + 1)
    docker = Dockerfile(shop, {"subject": wrong})
    docker.sign(0)
    assert "is about another image" in docker.verify()


def test_a_signature_of_the_index_alone_does_not_satisfy_the_chain(shop: Workshop) -> None:
    docker = Dockerfile(shop, {})
    digest = str(docker.value.digest)
    subject = [{"digest": {"sha256": digest[7:]}}]
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = docker.sigstore.certificate(key, BUILDER, claims=CLAIMS)
    bundle = docker.sigstore.bundle(shop.statement(subject=subject), key, certificate)
    shop.bundle(bundle, subject={"mediaType": media_types.OCI_INDEX, "digest": digest,
                                 "size": docker.value.document.size})  # fmt: skip
    assert "no valid signature of docker-github-builder" in docker.verify()


def _address(shop: Workshop, tag: str = "1") -> Any:
    return parse_destination(f"{shop.repository}:{tag}")
