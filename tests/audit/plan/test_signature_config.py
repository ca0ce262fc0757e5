"""Signatures of the copies at home, as the shipped policy requires those of the originals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from builders.audit import lay_out
from homeport.cli.main import run

_HOME = "r.example/m"


def test_copies_must_be_signed_for_the_repository_that_they_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lay_out({"Dockerfile": "FROM gcr.io/distroless/java17:nonroot\nFROM debian:13\n"}, tmp_path)
    arguments = ["audit", "--home", _HOME, "--plan", "plan.yaml", "--write-config", "config"]
    assert run(arguments) == 0
    policy = json.loads((tmp_path / "config/policy.json").read_text())
    copy = f"{_HOME}/gcr.io/distroless/java17"
    assert list(policy["transports"]["docker"]) == [copy]
    (wanted,) = policy["transports"]["docker"][copy]
    assert wanted["type"] == "sigstoreSigned"
    assert wanted["signedIdentity"] == {
        "type": "exactRepository", "dockerRepository": "gcr.io/distroless/java17"
    }  # fmt: skip
    assert wanted["fulcio"]["caData"]
    registries = yaml.safe_load((tmp_path / "config/registries.d/homeport.yaml").read_text())
    assert registries == {"docker": {copy: {"use-sigstore-attachments": True}}}


def test_where_no_rule_requires_a_signature_there_is_no_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    lay_out({"Dockerfile": "FROM debian:13\n"}, tmp_path)
    assert run(["audit", "--home", _HOME, "--plan", "plan.yaml"]) == 0
    assert "signatures" not in Path("plan.yaml").read_text()
