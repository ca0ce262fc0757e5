"""A built image, pushed with its rebuild kit and signed, and what commands say of it.

with published(tmp_path, monkeypatch) as registry:
    assert ask(registry, "verify", IMAGE, "--key", "us.pub")["verified"]
"""

from __future__ import annotations

import contextlib
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from builders.small_registry import SmallRegistry, small_registry
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import homeport

RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64, linux/arm64]
packages: [app]
"""
POLICY = """
schema: homeport-policy/v1
identities:
  us: {keys: [us.pub]}
  a: {keys: [a.pub, a2.pub]}
  b: {keys: [b.pub]}
  also-us: {keys: [us.pub]}
images:
  - {match: [HOST/tool], identity: [us], rebuilders: [a, b, also-us]}
"""
IMAGE = "HOST/tool:1"


@contextlib.contextmanager
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sources: Sequence[str] = ()
) -> Iterator[SmallRegistry]:
    """An image of two platforms, pushed and signed by ``us``; keys of others beside it."""
    with published_world(tmp_path, monkeypatch, sources=sources) as (registry, _):
        yield registry


@contextlib.contextmanager
def published_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sources: Sequence[str] = ()
) -> Iterator[tuple[SmallRegistry, World]]:
    """As ``published``, with the archive that it was built from.

    sources: versions of app's source package that the archive has
    """
    packages = [deb("app", architecture=one, files={"usr/bin/app": b"x"})
                for one in ("amd64", "arm64")]  # fmt: skip
    world = World(tmp_path, packages, valid_for=None)
    if sources:
        world.archive.publish_sources("trixie", {"app": sources})
    monkeypatch.chdir(world.home)
    for name, value in (("HOME", str(tmp_path)), ("HOMEPORT_CACHE_DIR", str(tmp_path / "cache2")),
                        ("COSIGN_PASSWORD", "")):  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ("us", "a", "a2", "b", "stranger"):
        key = generate_key()
        Path(f"{name}.key").write_bytes(encrypt_key(key, b""))
        Path(f"{name}.pub").write_bytes(key.public.pem)
    recipe_file(world.home, RECIPE.format(url=world.archive.url))
    with small_registry() as registry:
        Path("policy.yaml").write_text(POLICY.replace("HOST", registry.host))
        assert ask(registry, "build", ".", "--push", IMAGE, "--sign", "--sign-key", "us.key")
        yield registry, world


def run(registry: SmallRegistry, *arguments: str) -> Result:
    texts = [one.replace("HOST", registry.host) for one in arguments]
    return CliRunner().invoke(homeport, texts, obj=texts)


def ask(registry: SmallRegistry, *arguments: str) -> Any:
    result = run(registry, *arguments, "--format", "json")
    if result.exception is not None:
        raise result.exception
    assert result.exit_code == 0
    return json.loads(result.stdout)


def members_of(path: str) -> dict[str, bytes]:
    """The files of an archive by their names."""
    found: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if (stream := archive.extractfile(member)) is not None:
                found[member.name] = stream.read()
    return found
