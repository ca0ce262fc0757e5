"""Policies in other tools' forms; tests/peers/test_attest_skopeo.py has skopeo's judgement."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from builders.signed_images import Workshop, workshop
from homeport.attest.errors import NotVerified
from homeport.attest.keys.private_key import generate_key
from homeport.attest.policy.emit import TARGETS, emit
from homeport.attest.policy.reading import shipped_policy
from homeport.buildkit.llb.source_policy import read_policy
from homeport.cli.main import homeport

POLICY = """
schema: homeport-policy/v1
identities:
  us: {keys: [cosign.pub]}
  mail: {san: [release@example.org], issuer: "https://accounts.google.com"}
  ci: {san: ["https://github.com/example/*"], issuer: "https://token.actions.githubusercontent.com"}
images:
  - {match: [HOST/a/b], identity: [us]}
  - {match: ["r.example/mail/*"], identity: [mail]}
  - {match: [docker.io/library/debian], identity: [us]}
  - {match: [r.example/ci], identity: [us, ci]}
  - {match: [r.example/copy], identity: [us], signed_as: [HOST/a/b], enforce: warn}
  - {match: ["r.example/open/*"], unsigned: true}
default: DEFAULT
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with workshop(tmp_path) as made:
        yield made


def emitted(shop: Workshop, target: str, *images: str, default: str = "warn") -> Any:
    path = shop.folder / "policy.yaml"
    path.write_text(POLICY.replace("HOST", shop.registry.host).replace("DEFAULT", default))
    arguments = ["policy", "emit", "--target", target, "--policy", str(path), *images]
    result = CliRunner().invoke(homeport, [*arguments, "--format", "json"])
    if result.exception is not None:
        raise result.exception
    document = json.loads(result.stdout)
    files = {one["name"]: one["content"] for one in document["files"]}
    return {**document, "files": files}


def test_containers_policy_requires_what_it_can_say_and_names_the_rest(shop: Workshop) -> None:
    made = emitted(shop, "containers")
    policy = json.loads(made["files"]["policy.json"])
    scopes = policy["transports"]["docker"]
    accept = [{"type": "insecureAcceptAnything"}]
    assert policy["default"] == accept
    assert {name: rows[0]["type"] for name, rows in scopes.items()} == {
        f"{shop.registry.host}/a/b": "sigstoreSigned", "r.example/mail": "sigstoreSigned",
        "docker.io/library/debian": "sigstoreSigned",
        "r.example/copy": "insecureAcceptAnything", "r.example/open": "insecureAcceptAnything",
    }  # fmt: skip
    fulcio = scopes["r.example/mail"][0]["fulcio"]
    assert fulcio["subjectEmail"] == "release@example.org"
    assert made["left_out"] == [
        "r.example/ci: the format has room for one identity only, an e-mail address"
    ]
    found = yaml.safe_load(made["files"]["registries.d/homeport.yaml"])["docker"]
    assert found == {
        f"{shop.registry.host}/a/b": {"use-sigstore-attachments": True},
        "docker.io/library/debian": {"use-sigstore-attachments": True},
        "r.example/mail": {"use-sigstore-attachments": True},
    }
    strict = emitted(shop, "containers", default="reject")
    assert json.loads(strict["files"]["policy.json"])["default"] == [{"type": "reject"}]


def test_admission_controllers_get_every_signer(shop: Workshop) -> None:
    found = emitted(shop, "clusterimagepolicy")["files"]["cluster-image-policies.yaml"]
    documents = {one["spec"]["images"][0]["glob"]: one["spec"] for one in yaml.safe_load_all(found)}
    assert list(documents) == [
        f"{shop.registry.host}/a/b:*", "r.example/mail/**", "index.docker.io/library/debian:*",
        "r.example/ci:*", "r.example/copy:*",
    ]  # fmt: skip
    us, ci = documents["r.example/ci:*"]["authorities"]
    assert us["key"]["data"].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert ci["keyless"]["identities"] == [
        {"issuer": "https://token.actions.githubusercontent.com",
         "subjectRegExp": r"^https://github\.com/example/.*$"}
    ]  # fmt: skip
    assert documents["r.example/copy:*"]["mode"] == "warn"
    kyverno = emitted(shop, "kyverno")["files"]["image-validating-policies.yaml"]
    kinds = {one["kind"] for one in yaml.safe_load_all(kyverno)}
    assert kinds == {"ImageValidatingPolicy"}


OVERLAPPING = """
schema: homeport-policy/v1
identities:
  us: {keys: [cosign.pub], until: 2030-01-01}
  two: {keys: [cosign.pub, other.pub]}
  three: {keys: [third.pub]}
images:
  - {match: ["r.example/*"], identity: [us]}
  - {match: ["r.example/open/*"], unsigned: true}
  - {match: [r.example/both], identity: [us, two], threshold: 2}
  - {match: [r.example/most], identity: [us, two, three], threshold: 2}
  - {match: [r.example/sbom], identity: [us], attestations: ["https://spdx.dev/Document"]}
"""


def overlapping(shop: Workshop, target: str) -> Any:
    for name in ("other.pub", "third.pub"):
        (shop.folder / name).write_bytes(generate_key().public.pem)
    path = shop.folder / "policy.yaml"
    path.write_text(OVERLAPPING)
    arguments = ["policy", "emit", "--target", target, "--policy", str(path), "--format", "json"]
    result = CliRunner().invoke(homeport, arguments, catch_exceptions=False)
    document = json.loads(result.stdout)
    (file,) = [one["content"] for one in document["files"] if one["name"].endswith("yaml")]
    return list(yaml.safe_load_all(file)), document["left_out"]


def test_every_key_counts_and_all_signers_are_a_policy_each(shop: Workshop) -> None:
    documents, left_out = overlapping(shop, "clusterimagepolicy")
    assert [(one["metadata"]["name"], len(one["spec"]["authorities"])) for one in documents] == [
        ("homeport-r-example", 1), ("homeport-r-example-both", 1), ("homeport-r-example-both-2", 2),
        ("homeport-r-example-sbom", 1),
    ]  # fmt: skip
    assert left_out == [
        "r.example/*: when its keys were in use",
        "r.example/both: when its keys were in use",
        "r.example/most: when its keys were in use",
        "r.example/sbom: attestations of https://spdx.dev/Document",
        "r.example/sbom: when its keys were in use",
        "r.example/open/*, r.example/both, r.example/most, r.example/sbom: narrower than "
        "r.example/*, which must hold, too",
        "r.example/most: 2 of 3 signers",
    ]


def test_kyverno_counts_signers_and_excepts_what_narrower_rules_are_for(shop: Workshop) -> None:
    documents, left_out = overlapping(shop, "kyverno")
    by_name = {one["metadata"]["name"]: one["spec"] for one in documents}
    assert len(left_out) == 5
    (wide,) = by_name["homeport-r-example"]["matchImageReferences"]
    assert wide["expression"].startswith(
        '(ref.startsWith("r.example/")) && !(ref.startsWith("r.example/open/") || '
    )
    (most,) = by_name["homeport-r-example-most"]["validations"]
    assert most["expression"] == (
        "(images.containers + images.initContainers + images.ephemeralContainers).all(image, "
        "[verifyImageSignatures(image, [attestors.signer0]) > 0, "
        "verifyImageSignatures(image, [attestors.signer1, attestors.signer1key1]) > 0, "
        "verifyImageSignatures(image, [attestors.signer2]) > 0]"
        ".filter(signed, signed).size() >= 2)"
    )
    assert len(by_name["homeport-r-example-most"]["attestors"]) == 4


def test_buildkit_is_pinned_to_what_was_verified(shop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(NotVerified):
        emitted(shop, "buildkit", shop.address)
    shop.legacy(shop.payload())
    text = emitted(shop, "buildkit", shop.address, default="reject")["files"]["source-policy.json"]
    rules = json.loads(text)["rules"]
    assert [one["action"] for one in rules] == ["DENY", "CONVERT", "ALLOW"]
    assert rules[1]["selector"]["identifier"] == f"docker-image://{shop.address}"
    assert rules[1]["updates"]["identifier"] == f"docker-image://{shop.repository}@{shop.digest}"
    (tmp_path / "source-policy.json").write_text(text)
    assert len(read_policy(tmp_path / "source-policy.json").rules) == 3


def test_rego_allows_what_was_verified_by_digest(shop: Workshop) -> None:
    shop.legacy(shop.payload())
    text = emitted(shop, "rego", shop.address)["files"]["policy.rego"]
    assert f'input.image.checksum == "{shop.digest}"' in text
    assert f':= true if repository == "{shop.repository}"' in text
    assert ':= false if startswith(repository, "r.example/open/")' in text
    assert ':= false if repository == "r.example/copy"' in text
    assert "\nelse := false\n" in text
    strict = emitted(shop, "rego", shop.address, default="reject")["files"]["policy.rego"]
    assert "\nelse := true\n" in strict


def test_files_are_written_where_the_user_says(shop: Workshop) -> None:
    folder = shop.folder / "out"
    emitted(shop, "containers", "-o", str(folder))
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "policy.json", "registries.d", "registries.d/homeport.yaml"
    ]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_what_ships_has_every_form(target: str) -> None:
    made = emit(target, shipped_policy({}))
    assert made.files
    assert made.left_out
