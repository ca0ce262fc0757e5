"""Every command of docs/prove.md, in its order, with the exit code that the page says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from builders.prove_page import commands, prepare
from builders.signed_images import workshop
from builders.sigstore_services import services
from builders.small_registry import small_registry
from homeport.cli.main import run


def test_every_command_of_the_page_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("HOME", tmp_path), ("HOMEPORT_CACHE_DIR", tmp_path / "cache"),
                        ("COSIGN_PASSWORD", "secret")):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    with workshop(tmp_path) as shop, small_registry() as home, services(tmp_path) as sigstore:
        prepare(shop, home.host)
        monkeypatch.setenv("SIGSTORE_ID_TOKEN", sigstore.token())
        found = list(commands())
        assert len(found) > 20
        for line, code in found:
            text = line.replace("registry.example", home.host)
            arguments = shlex.split(text.replace("upstream.example", shop.registry.host))
            assert arguments[0] == "homeport"
            ended = run(arguments[1:])
            printed = capfd.readouterr()
            assert ended == code, f"{line}\n{printed.out}{printed.err}"
        assert ("m/fake", "1") not in home.tags
