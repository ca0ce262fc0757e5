"""``homeport build --push REF``: from signed packages into a registry with one command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.build_push import PushingBuild, pushing_build
from builders.small_registry import SmallRegistry, small_registry
from homeport.content.digest import Digest
from homeport.errors import HomeportError


@pytest.fixture
def build(tmp_path: Path) -> Iterator[PushingBuild]:
    with pushing_build(tmp_path) as found:
        yield found


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry() as found:
        yield found


def parts(registry: SmallRegistry, name: str, digest: str) -> list[str]:
    """Every digest below a manifest or index; each document and blob must be there."""
    document = json.loads(registry.manifests[name, digest].raw)
    below = [one["digest"] for one in document.get("manifests", ())]
    blobs = [one["digest"] for one in (*document.get("layers", ()), *([document["config"]] if
             "config" in document else ()))]  # fmt: skip
    for blob in blobs:
        assert str(Digest.of(registry.blobs[name, blob])) == blob
    return [*blobs, *(found for one in below for found in parts(registry, name, one))]


def test_what_was_built_is_in_the_registry_under_every_tag(
    build: PushingBuild, registry: SmallRegistry
) -> None:
    result = build.run(
        "-q", "--push", f"{registry.host}/team/tool:1", "--push", f"{registry.host}/team/tool:2"
    )
    assert result.exit_code == 0, result.output
    digest = result.stdout.strip()
    assert registry.tags["team/tool", "1"] == registry.tags["team/tool", "2"] == digest
    assert len(parts(registry, "team/tool", digest)) >= 2
    assert not list(build.folder.glob("*.oci")), "only what was asked for is written"


def test_pushing_what_is_there_sends_no_body(build: PushingBuild, registry: SmallRegistry) -> None:
    ref = f"{registry.host}/team/tool:1"
    first = build.run("-q", "--push", ref)
    registry.requests.clear()
    again = build.run("-q", "--push", ref)
    assert again.stdout == first.stdout
    assert {line.partition(" ")[0] for line in registry.requests} <= {"GET", "HEAD"}


def test_a_layout_and_a_registry_get_the_same_digest(
    build: PushingBuild, registry: SmallRegistry
) -> None:
    layout = build.folder / "layout"
    result = build.run("-q", "-o", f"oci:{layout}:1", "--push", f"{registry.host}/team/tool:1")
    assert result.exit_code == 0, result.output
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert registry.tags["team/tool", "1"] == entry["digest"]


def test_a_registry_that_is_not_there_is_named(build: PushingBuild) -> None:
    result = build.run("-q", "--push", "127.0.0.1:1/team/tool:1")
    assert isinstance(result.exception, HomeportError)
    assert "127.0.0.1:1" in str(result.exception.to_json())


def test_a_destination_without_a_registry_spells_out_the_public_one(build: PushingBuild) -> None:
    result = build.run("--push", "team/tool:1")
    assert isinstance(result.exception, HomeportError)
    assert result.exception.exit_code == 2
    assert "docker.io/team/tool:1" in f"{result.exception.what} {result.exception.hint}"
