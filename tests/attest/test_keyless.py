"""Signing for an identity, against a Sigstore of our own on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sigstore import verify as sigstore_verify
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify.policy import Identity

from builders.http_server import Fault
from builders.private_sigstore import BUNDLE, ISSUER, NAME
from builders.signed_images import Workshop, seven_platforms, workshop
from builders.sigstore_services import Services, services
from homeport.attest.errors import SigningFailed
from homeport.cli.main import homeport
from homeport.errors import HomeportError, UsageError


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


@pytest.fixture(params=["rekor-v1", "rekor-v2"])
def running(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Services]:
    with services(tmp_path, v2=request.param == "rekor-v2") as made:
        yield made


@pytest.fixture
def v1(tmp_path: Path) -> Iterator[Services]:
    with services(tmp_path) as made:
        yield made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


def document(*arguments: str) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exception is None, result.output + str(result.exception)
    return json.loads(result.stdout)


def bundles(shop: Workshop) -> list[bytes]:
    """The bundles in the registry."""
    found = []
    for manifest in shop.registry.manifests.values():
        parsed = json.loads(manifest.raw)
        if parsed.get("artifactType") == BUNDLE:
            found.append(shop.registry.blobs[shop.name, parsed["layers"][0]["digest"]])
    return found


def test_an_image_is_signed_for_the_identity_of_a_token_once(
    tmp_path: Path, running: Services
) -> None:
    """Index and platforms, with one certificate; sigstore-python agrees."""
    with workshop(tmp_path, seven_platforms()) as shop:
        arguments = ("sign", shop.address, "--identity-token", running.token(), *running.options)
        first = document(*arguments)
        assert first["signer"] == f"{NAME} ({ISSUER})"
        forms = {"bundle": "written"} if running.sigstore.v2 else {
            "legacy": "written", "bundle": "written"
        }  # fmt: skip
        assert [one["forms"] for one in first["subjects"]] == [forms] * 8
        assert running.server.paths().count("/api/v2/signingCert") == 1
        entries = len(running.sigstore.leaves)

        again = document(*arguments)
        assert {one for each in again["subjects"] for one in each["forms"].values()} == {"present"}
        assert len(running.sigstore.leaves) == entries

        verified = document("verify", shop.address, *running.identity, "--every-platform")
        assert verified["verified"]
        assert verified["subjects"][0]["signatures"][0]["time"]
        verifier = sigstore_verify.Verifier(trusted_root=TrustedRoot.from_file(str(running.root)))
        for raw in bundles(shop):
            identity = Identity(identity=NAME, issuer=ISSUER)
            verifier.verify_dsse(Bundle.from_json(raw), identity)


def test_a_statement_is_attested_for_an_identity(
    shop: Workshop, running: Services, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_text('{"buildDefinition":{}}')
    document(
        "attest", shop.address, "--type", "slsa", "--predicate", str(tmp_path / "p.json"),
        "--identity-token", running.token(), *running.options,
    )  # fmt: skip
    verified = document("verify", shop.address, *running.identity, "--type", "slsa")
    forms = {one["form"] for one in verified["subjects"][0]["signatures"]}
    assert forms == ({"bundle"} if running.sigstore.v2 else {"bundle", "legacy-attestation"})


def test_the_token_comes_from_gitlab_or_github(
    shop: Workshop, v1: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1.server.answers["/token"] = lambda request: (
        (200, {}, json.dumps({"value": v1.token(sub=f"{NAME}-github")}).encode())
        if request.headers.get("authorization") == "Bearer runner"
        and request.path.endswith("&audience=sigstore")
        else (403, {}, b"{}")
    )
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", v1.server.url("/token?v=1"))
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "runner")
    github = document("sign", shop.address, *v1.options)
    assert github["signer"].startswith(f"{NAME}-github ")
    monkeypatch.setenv("SIGSTORE_ID_TOKEN", v1.token(sub=f"{NAME}-gitlab"))
    gitlab = document("sign", shop.address, *v1.options)
    assert gitlab["signer"].startswith(f"{NAME}-gitlab ")


@pytest.mark.parametrize(
    ("fault", "because"),
    [
        (Fault(path="/api/v2/signingCert", status=400, body=b'{"message":"no\x1b[31m"}'),
         r"Fulcio: status 400: {"),
        (Fault(path="/api/v2/signingCert", status=201, body=b"{}"), "Fulcio: the answer is not"),
        (Fault(path="/api/v1/log", status=400, body=b"no"), "Rekor: status 400: no"),
        (Fault(path="/api/v1/log", status=201, body=b"{}"), "Rekor: 0 entries in the answer"),
        (Fault(path="/api/v1/log", status=201, body=b"["), "Rekor: the answer is not valid"),
    ],
)  # fmt: skip
def test_a_service_that_fails_is_named_and_nothing_is_written(
    shop: Workshop, v1: Services, fault: Fault, because: str
) -> None:
    before = dict(shop.registry.manifests)
    v1.server.faults.append(fault)
    result = run("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert isinstance(result.exception, SigningFailed), result.exception
    assert because in result.exception.what
    assert "\x1b" not in result.exception.what
    assert shop.registry.manifests == before
    done = document("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert done["subjects"][0]["forms"] == {"legacy": "written", "bundle": "written"}


def test_no_network_for_the_log_is_an_error_before_anything_is_written(
    shop: Workshop, v1: Services
) -> None:
    config = json.loads((v1.folder / "signing_config.json").read_text())
    config["rekorTlogUrls"][0]["url"] = "http://127.0.0.1:1"
    (v1.folder / "signing_config.json").write_text(json.dumps(config))
    before = dict(shop.registry.manifests)
    result = run("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert isinstance(result.exception, SigningFailed)
    assert result.exception.what.startswith("Rekor: ")
    assert shop.registry.manifests == before


def test_an_answer_that_was_lost_is_found_in_the_log(shop: Workshop, v1: Services) -> None:
    """Rekor took the entry, and says so when it is sent again."""
    v1.server.faults.append(Fault(path="/api/v1/log", cut_at=10))
    done = document("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert done["subjects"][0]["forms"]["bundle"] == "written"
    assert document("verify", shop.address, *v1.identity)["verified"]


def test_a_log_that_answers_something_else_is_found_out_before_anything_is_written(
    shop: Workshop, v1: Services
) -> None:
    other = v1.sigstore.entry(b'{"apiVersion":"0.0.1","kind":"dsse","spec":{}}', ("dsse", "0.0.1"))
    entry_v1 = v1.entry_v1

    def wrong(request: Any) -> Any:
        status, headers, body = entry_v1(request)
        answer = json.loads(body)
        for entry in answer.values():
            entry["body"] = other["canonicalizedBody"]
        return status, headers, json.dumps(answer).encode()

    v1.server.answers["/api/v1/log/entries"] = wrong
    before = dict(shop.registry.manifests)
    result = run("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert isinstance(result.exception, SigningFailed)
    assert "the new signature of" in result.exception.what
    assert shop.registry.manifests == before


@pytest.mark.parametrize(
    ("token", "because"),
    [
        ("", "there is no key and no identity token"),
        ("nonsense", "the identity token is not one"),
        ("a.b.c", "the identity token is not one"),
    ],
)
def test_without_a_good_token_nothing_is_asked(
    shop: Workshop, v1: Services, token: str, because: str
) -> None:
    result = run("sign", shop.address, "--identity-token", token, *v1.options)
    assert isinstance(result.exception, SigningFailed)
    assert because in result.exception.what
    assert v1.server.requests == []


def test_an_expired_token_or_a_wrong_clock_is_named(shop: Workshop, v1: Services) -> None:
    token = v1.token(exp=v1.sigstore.now.timestamp() - 60)
    result = run("sign", shop.address, "--identity-token", token, *v1.options)
    assert isinstance(result.exception, SigningFailed)
    assert "the identity token expired at" in result.exception.what
    assert "clock" in str(result.exception.hint)


def test_a_token_is_not_sent_without_tls_beyond_this_machine(shop: Workshop, v1: Services) -> None:
    config = json.loads((v1.folder / "signing_config.json").read_text())
    config["caUrls"][0]["url"] = "http://fulcio.example"
    (v1.folder / "signing_config.json").write_text(json.dumps(config))
    result = run("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert isinstance(result.exception, SigningFailed)
    assert "a token is not sent" in result.exception.what


@pytest.mark.parametrize(
    ("text", "because"),
    [("{}", "missing required field"), ("[", "not a valid signing"),
     ('{"mediaType":"x"}', "not a signing configuration"),
     ('{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json"}', "no Fulcio")],
)  # fmt: skip
def test_a_signing_configuration_that_is_none_is_named(
    shop: Workshop, v1: Services, text: str, because: str
) -> None:
    (v1.folder / "signing_config.json").write_text(text)
    result = run("sign", shop.address, "--identity-token", v1.token(), *v1.options)
    assert isinstance(result.exception, HomeportError)
    assert because in result.exception.what


def test_offline_there_is_no_identity(shop: Workshop) -> None:
    result = run("sign", "oci:x", "--identity-token", "env://NONE", "--offline")
    assert isinstance(result.exception, (UsageError, SigningFailed))
