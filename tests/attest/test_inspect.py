"""``inspect`` says of what is attached to an image whether its signature is valid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders.private_sigstore import ISSUER, NAME, PrivateSigstore
from builders.signed_images import Workshop, workshop
from homeport.attest.attached.registry import RegistryAttached
from homeport.attest.sigstore.trusted_root import read_trusted_root
from homeport.attest.verification.description import describe
from homeport.cli.main import homeport
from homeport.content.digest import Digest
from homeport.images.address import RegistryAddress, parse_source
from homeport.images.transports.registry import RegistryTransport


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with workshop(tmp_path) as made:
        yield made


def verdicts(shop: Workshop, sigstore: PrivateSigstore) -> list[str]:
    address = parse_source(shop.address)
    assert isinstance(address, RegistryAddress)
    transport = RegistryTransport(address, shop.app.registries())
    root = read_trusted_root(sigstore.write_root(shop.folder / "root.json"))
    attached = RegistryAttached(transport, shop.app.runtime)
    return sorted(describe(attached, Digest.parse(shop.digest), (), root).values())


def test_signers_are_named_as_they_are_found_with_the_root_that_was_used(shop: Workshop) -> None:
    sigstore = PrivateSigstore()
    payload = shop.payload()
    shop.legacy(payload, sigstore.legacy_annotations(payload))
    shop.bundle(sigstore.bundle(shop.statement()))
    shop.bundle(PrivateSigstore().bundle(shop.statement()))
    found = verdicts(shop, sigstore)
    valid = f"valid: {NAME} ({ISSUER}) (certificate, {shop.folder / 'root.json'})"
    assert found == ["not valid: the log is not one of the trusted root", valid, valid]


def test_a_key_proves_nothing_to_those_who_do_not_know_it(shop: Workshop) -> None:
    shop.bundle(shop.key_bundle(shop.statement()))
    shop.bundle(b"{}")
    result = CliRunner().invoke(homeport, ["inspect", shop.address, "--format", "json"])
    assert result.exception is None, result.output
    rows = json.loads(result.stdout)["image"]["attached"]
    assert sorted(one["verdict"].partition(":")[0] for one in rows) == [
        "not valid", "signed with a key that is not known here; verify it with --key",
    ]  # fmt: skip
    text = CliRunner().invoke(homeport, ["inspect", shop.address])
    assert "verify it with --key" in text.stdout


def test_signatures_in_a_layout_have_their_verdict_too(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    monkeypatch.chdir(tmp_path)
    for line in (f"pull {shop.address} oci:one:1", "key generate -o k",
                 "sign oci:one:1 --key k.key"):  # fmt: skip
        assert CliRunner().invoke(homeport, line.split()).exception is None
    result = CliRunner().invoke(homeport, ["inspect", "oci:one:1", "--format", "json"])
    assert result.exception is None, result.output
    rows = json.loads(result.stdout)["image"]["attached"]
    assert len(rows) == 2  # both forms
    assert {one["verdict"] for one in rows} == {
        "signed with a key that is not known here; verify it with --key"
    }
