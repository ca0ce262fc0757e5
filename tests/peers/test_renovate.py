"""Renovate with the presets that are shipped, over a real registry and a signed archive.

It needs Node 24 and 500 MB of npm's packages, so it runs where HOMEPORT_RENOVATE names the program:
``.ci/run --full`` installs it. The presets' schema is checked by every run.
"""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders.ci_jobs import ROOT
from builders.forge import EveryPath
from builders.freshness import FreshWorld, package
from builders.http_server import Answer, Received, Server, serving
from builders.registry import docker_registry, image
from homeport.content.blob import Blob
from homeport.publishing.tags import Form, dated_tag
from peers.test_audit_formats import check

PRESETS = sorted(ROOT.glob("renovate/*.json"))
DAY = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())


def renovate(folder: Path, extends: str, **more: Any) -> dict[str, dict[str, str]]:
    """Dependency → kind of update → what Renovate would write, of all files in the folder."""
    program = os.environ.get("HOMEPORT_RENOVATE")
    if not program:
        pytest.fail("HOMEPORT_RENOVATE is not set; .ci/run --full installs Renovate")
    (folder / "renovate.json").write_text(json.dumps({"extends": [extends], **more}))
    done = subprocess.run(
        [program, "--platform=local", "--dry-run=lookup"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "LOG_LEVEL": "debug", "LOG_FORMAT": "json"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    (found,) = [line["config"] for line in lines if line["msg"] == "packageFiles with updates"]
    return {
        dependency["depName"]: {
            each["updateType"]: f"{each['newValue']} {each.get('newDigest', '')}".strip()
            for each in dependency["updates"]
        }
        for files in found.values()
        for file in files
        for dependency in file["deps"]
        if "skipReason" not in dependency
    }


@contextmanager
def presets() -> Iterator[Server]:
    with serving() as server:
        for path in PRESETS:
            server.file(f"/{path.name}", path.read_bytes())
        yield server


def push(repository: str, tag: str) -> str:
    """An image of one layer, as a registry's client puts it there; its digest."""
    host, _, name = repository.partition("/")
    base = f"http://{host}/v2/{name}"
    manifest, blobs = image(tag.encode())

    def put(url: str, data: bytes, kind: str) -> None:
        headers = {"Content-Type": kind}
        request = urllib.request.Request(url, data=data, headers=headers, method="PUT")
        urllib.request.urlopen(request).close()

    for digest, blob in blobs.items():
        start = urllib.request.Request(f"{base}/blobs/uploads/", method="POST")
        with urllib.request.urlopen(start) as answer:
            where = answer.headers["Location"]
        put(f"{where}&digest={digest}", _bytes(blob), "application/octet-stream")
    put(f"{base}/manifests/{tag}", manifest.raw, manifest.media_type)
    return str(manifest.digest)


def _bytes(blob: Blob) -> bytes:
    with blob.open() as stream:
        return stream.read()


def test_presets_follow_the_published_schema() -> None:
    check(["--builtin-schema", "vendor.renovate"], *PRESETS)


@pytest.mark.full
@pytest.mark.peer("docker-registry")
@pytest.mark.parametrize(("preset", "form"), [("images", "version"), ("images-hyphen", "hyphen")])
def test_a_consumer_of_images_gets_the_next_dated_tag_with_its_digest(
    tmp_path: Path, preset: str, form: Form
) -> None:
    """And no other form: neither the moving tags nor another platform's."""
    old, new = (dated_tag("1.2", DAY + days * 86_400, 0, form) for days in (0, 27))
    with docker_registry(tmp_path / "r") as registry, presets() as server:
        repository = f"{registry.host}/group/tool"
        first, second, *_ = [push(repository, tag) for tag in (old, new, "1.2", "1", "latest")]
        folder = tmp_path / "consumer"
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM {repository}:{old}\n")
        found = renovate(
            folder, server.url(f"/{preset}.json({registry.host}/group)"),
            hostRules=[{"matchHost": registry.host, "insecureRegistry": True}],
        )  # fmt: skip
    assert found == {repository: {"pinDigest": f"{old} {first}", "patch": f"{new} {second}"}}


@pytest.mark.full
def test_packages_of_a_lockfile_are_found_but_for_those_of_suites_without_gz(
    tmp_path: Path,
) -> None:
    """Debian's security suites are such: Renovate's lookup there is silent, ``outdated`` is not."""
    world = FreshWorld(
        tmp_path, {"trixie": [package("lib1", "1-1")], "trixie-security": [package("lib2", "1-1")]}
    )
    world.lock_recipe("packages: [lib1, lib2]")
    world.move("trixie", [package("lib1", "1-2")])
    world.move("trixie-security", [package("lib2", "1-2")], forms=("xz",))
    for path in world.archive.dists("trixie-security").rglob("Packages.gz"):
        path.unlink()

    def serve(request: Received) -> Answer:
        path = world.archive.root / request.path.removeprefix("/test/").partition("?")[0]
        return (200, {}, path.read_bytes()) if path.is_file() else (404, {}, b"")

    with serving() as mirror, presets() as server:
        mirror.answers = EveryPath(serve)
        found = renovate(world.home, server.url(f"/locks.json({mirror.url('').rstrip('/')})"))
        asked = [path for path in mirror.paths() if path.endswith("Packages.gz")]
    assert found == {"lib1": {"minor": "1-2"}, "lib2": {}}
    assert any("trixie-security" in path for path in asked)
    assert {change.name for change in world.subject().changes} == {"lib1", "lib2"}
