"""What we sign both cosigns verify, and what they sign we verify; keys go both ways.

cosign 2.5 is Debian trixie's, 3.1 is sid's; the roots that HOMEPORT_ENGINE_CHROOTS names have
them (.ci/run). All without network: no transparency log.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding

from builders.private_sigstore import ISSUER, NAME, OpensslTsa, PrivateSigstore, pem_of
from builders.signed_images import Workshop, seven_platforms, workshop
from builders.sigstore_services import services
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import homeport

EMPTY_CONFIG = (
    '{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json",'
    '"rekorTlogConfig":{},"tsaConfig":{}}'
)
VERIFY = ("--insecure-ignore-tlog", "--allow-http-registry")


def find_cosign(suite: str) -> str:
    found = Path(os.environ.get("HOMEPORT_ENGINE_CHROOTS", "/none"), suite, "usr/bin/cosign")
    if found.exists():
        return str(found)
    if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
        pytest.fail(f"there is no {found}; .ci/run makes the root of {suite}")
    pytest.skip(f"no cosign of {suite}; HOMEPORT_ENGINE_CHROOTS may name its root")


@pytest.fixture(params=["trixie", "sid"])
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["api", "tag"])
def shop(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COSIGN_PASSWORD", "secret")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.json").write_text(EMPTY_CONFIG)
    key = generate_key()
    (tmp_path / "k.key").write_bytes(encrypt_key(key, b"secret"))
    (tmp_path / "k.pub").write_bytes(key.public.pem)
    with workshop(tmp_path, seven_platforms(), referrers=request.param == "api") as made:
        yield made


def cosign(suite: str, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [find_cosign(suite), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def ours(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(homeport, [*arguments, "--format", "json"])
    assert result.exception is None, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_what_we_sign_they_verify_index_and_platforms(shop: Workshop, suite: str) -> None:
    ours("sign", shop.address, "--key", "k.key", "-a", "build=7")
    for digest in (shop.digest, str(shop.value.document.parsed.manifests[0].digest)):
        reference = f"{shop.repository}@{digest}"
        printed = cosign(suite, "verify", "--key", "k.pub", *VERIFY, "-a", "build=7", reference)
        assert json.loads(printed)[0]["critical"]["image"]["docker-manifest-digest"] == digest
    if suite == "sid":  # the older form, which it reads where there is no newer one
        cosign(suite, "verify", "--key", "k.pub", *VERIFY, "--new-bundle-format=false",
               shop.address)  # fmt: skip


def test_what_we_attest_they_verify(shop: Workshop, suite: str) -> None:
    Path("vex.json").write_text('{"@context":"https://openvex.dev/ns/v0.2.0"}')
    ours("attest", shop.address, "--type", "vex", "--predicate", "vex.json", "--key", "k.key")
    type = "https://openvex.dev/ns"
    printed = cosign(suite, "verify-attestation", "--key", "k.pub", "--type", type, *VERIFY,
                     shop.address)  # fmt: skip
    assert json.loads(printed.splitlines()[0])["payloadType"] == "application/vnd.in-toto+json"


def test_they_refuse_another_key(shop: Workshop, suite: str) -> None:
    ours("sign", shop.address, "--key", "k.key")
    other = generate_key()
    Path("other.pub").write_bytes(other.public.pem)
    done = subprocess.run(
        [find_cosign(suite), "verify", "--key", "other.pub", *VERIFY, shop.address],
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode > 0


def test_what_they_sign_we_verify(shop: Workshop, suite: str) -> None:
    """cosign 3 in both forms, cosign 2 in the older one; keys that each made itself."""
    cosign(suite, "generate-key-pair", "--output-key-prefix", "theirs")
    sign = ("sign", "--key", "theirs.key", "-y", "--allow-http-registry", "-r")
    if suite == "sid":
        cosign(suite, *sign, "--signing-config", "empty.json", shop.address)
        cosign(suite, *sign, "--new-bundle-format=false", "--use-signing-config=false",
               "--tlog-upload=false", shop.address)  # fmt: skip
    else:
        cosign(suite, *sign, "--tlog-upload=false", shop.address)
    found = ours("verify", shop.address, "--key", "theirs.pub", "--every-platform")
    subjects = found["subjects"]
    assert isinstance(subjects, list)
    forms = {one["form"] for one in subjects[0]["signatures"] if one["verdict"] == "valid"}
    assert forms == ({"bundle", "legacy"} if suite == "sid" else {"legacy"})
    again = ours("sign", shop.address, "--key", "theirs.key")
    subjects = again["subjects"]
    assert isinstance(subjects, list)
    states = {"sid": {"legacy": "present", "bundle": "present"},
              "trixie": {"legacy": "present", "bundle": "written"}}[suite]  # fmt: skip
    assert subjects[-1]["forms"] == states


def test_what_they_attest_we_verify(shop: Workshop, suite: str) -> None:
    Path("p.json").write_text('{"a":1}')
    attest = ("attest", "--key", "k.key", "-y", "--allow-http-registry", "--predicate", "p.json",
              "--type", "https://example.org/x")  # fmt: skip
    more = ("--signing-config", "empty.json") if suite == "sid" else ("--tlog-upload=false",)
    cosign(suite, *attest, *more, shop.address)
    found = ours("verify", shop.address, "--key", "k.pub", "--type", "https://example.org/x")
    assert found["verified"]


@pytest.mark.parametrize("v2", [False, True], ids=["rekor-v1", "rekor-v2"])
def test_keyless_bundles_are_accepted_and_refused_alike(
    shop: Workshop, tmp_path: Path, v2: bool
) -> None:
    """cosign 3 alone: cosign 2 asks the network for new bundles, although it has a root."""
    sigstore = PrivateSigstore(v2=v2)
    if v2:
        sigstore.tsa = OpensslTsa(tmp_path / "tsa", sigstore.now)
    bundle = sigstore.bundle(shop.statement())
    shop.bundle(bundle)
    listed(shop)
    root = sigstore.write_root(tmp_path / "trusted_root.json")
    identity = ("--certificate-identity", NAME, "--certificate-oidc-issuer", ISSUER)
    cosign("sid", "verify", "--trusted-root", str(root), *identity, "--allow-http-registry",
           shop.address)  # fmt: skip
    assert shop.verify_keyless(sigstore).verified
    stranger = PrivateSigstore(v2=v2, host=sigstore.host)
    stranger.tsa = sigstore.tsa
    assert not shop.verify_keyless(stranger).verified


@pytest.mark.parametrize("v2", [False, True], ids=["rekor-v1", "rekor-v2"])
def test_what_we_sign_for_an_identity_they_verify(
    shop: Workshop, tmp_path: Path, v2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles by cosign 3; with Rekor v1 the legacy form by cosign 2, too."""
    identity = ("--certificate-identity", NAME, "--certificate-oidc-issuer", ISSUER)
    with services(tmp_path, v2=v2) as running:
        ours("sign", shop.address, "--identity-token", running.token(), *running.options)
    cosign("sid", "verify", "--trusted-root", str(running.root), *identity,
           "--allow-http-registry", shop.address)  # fmt: skip
    if not v2:
        trust_files(running.sigstore, tmp_path, monkeypatch)
        cosign("trixie", "verify", "--offline", *identity, "--allow-http-registry", shop.address)


def trust_files(sigstore: PrivateSigstore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cosign 2 takes authority and logs from."""
    for variable, data in (
        ("SIGSTORE_ROOT_FILE", sigstore.ca.public_bytes(Encoding.PEM)),
        ("SIGSTORE_REKOR_PUBLIC_KEY", pem_of(sigstore.log_key)),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", pem_of(sigstore.ct_key)),
    ):
        (folder / variable).write_bytes(data)
        monkeypatch.setenv(variable, str(folder / variable))


def test_keyless_legacy_signatures_are_accepted_by_both(
    shop: Workshop, suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sigstore, payload = PrivateSigstore(), shop.payload()
    shop.legacy(payload, sigstore.legacy_annotations(payload))
    root = sigstore.write_root(tmp_path / "trusted_root.json")
    identity = ("--certificate-identity", NAME, "--certificate-oidc-issuer", ISSUER)
    trust: tuple[str, ...] = ("--trusted-root", str(root))
    if suite == "trixie":
        trust_files(sigstore, tmp_path, monkeypatch)
        trust = ("--offline",)
    cosign(suite, "verify", *trust, *identity, "--allow-http-registry", shop.address)
    assert shop.verify_keyless(sigstore).verified


def listed(shop: Workshop) -> None:
    """Write the fallback tag, as a client does where the registry keeps no list."""
    if shop.registry.referrers:
        return
    entries = shop.registry.subjects(shop.name, shop.digest)
    index = "application/vnd.oci.image.index.v1+json"
    document = {"schemaVersion": 2, "mediaType": index, "manifests": entries}
    shop.put(document, shop.digest.replace(":", "-"))
