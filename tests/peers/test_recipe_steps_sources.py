"""Debian source packages as inputs of parts: found through signed Sources, checked, pinned."""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Mapping
from pathlib import Path

import pytest

from builders.building import BARE, listing
from homeport.building.request import BuildResult
from homeport.errors import HomeportError, OutOfDate
from homeport.recipe.lock.reading import read_lockfile
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine
from peers.test_recipe_steps import Steps

pytestmark = [pytest.mark.peer("dockerd", "busybox"), pytest.mark.root]
dockerd_20 = buildkit_engines.dockerd_20

FILES = {"hello_1.0.orig.tar.xz": b"upstream", "hello_1.0-1.debian.tar.xz": b"patches"}


@pytest.fixture
def world(tmp_path: Path, dockerd_20: RunningEngine) -> Steps:
    return Steps(tmp_path, dockerd_20)


def publish(world: Steps, *versions: str, dsc_lists: Mapping[str, bytes] = FILES) -> None:
    """Sources of hello in these versions, signed, in the pool of the world's archive."""
    pool = world.archive.root / "pool/main/h/hello"
    pool.mkdir(parents=True, exist_ok=True)
    stanzas = []
    for version in versions:
        dsc = signed(f"Source: hello\nVersion: {version}\n{checksums(dsc_lists)}").encode()
        files = {f"hello_{version}.dsc": dsc, **FILES}
        for name, data in files.items():
            (pool / name).write_bytes(data)
        stanzas.append(
            f"Package: hello\nVersion: {version}\nDirectory: pool/main/h/hello\n{checksums(files)}"
        )
    index = lzma.compress("\n".join(stanzas).encode())
    directory = world.archive.dists("trixie")
    (directory / "main/source").mkdir(parents=True, exist_ok=True)
    (directory / "main/source/Sources.xz").write_bytes(index)
    release = directory / "Release"
    line = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/source/Sources.xz\n"
    release.write_text(release.read_text().replace("SHA256:\n", f"SHA256:\n{line}"))
    world.archive.sign_again("trixie")


def checksums(files: Mapping[str, bytes]) -> str:
    lines = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {n}" for n, data in files.items()]
    return "Checksums-Sha256:\n" + "\n".join(lines) + "\n"


def signed(text: str) -> str:
    return (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}\n"
        "-----BEGIN PGP SIGNATURE-----\n\nnobody looks\n-----END PGP SIGNATURE-----\n"
    )


def make(world: Steps, source: str = "source: hello", **options: object) -> BuildResult:
    part = (
        "parts:\n  - name: tool\n    packages: [busybox]\n"
        f"    inputs: [{{{source}, to: /in}}]\n    run: busybox cp /in/* /out\n"
        "files: [{part: tool, path: /, to: /taken}]\n"
    )
    return world.build(f"{BARE}packages: [hello]\n{part}", **options)


def test_the_newest_version_and_its_files_are_pinned_and_given_to_the_commands(
    world: Steps,
) -> None:
    publish(world, "1.0-1", "1.0-2")
    result = make(world)
    found = {path: what for path, what in listing(result).items() if path.startswith("taken/")}
    assert sorted(found) == [
        "taken/hello_1.0-1.debian.tar.xz",
        "taken/hello_1.0-2.dsc",
        "taken/hello_1.0.orig.tar.xz",
    ]
    assert found["taken/hello_1.0.orig.tar.xz"] == "0644 upstream"
    lockfile = read_lockfile(result.locked.path)
    assert lockfile is not None
    (source,) = lockfile.parts["tool"].sources
    assert (source.name, source.version, source.suite) == ("hello", "1.0-2", "trixie")
    assert source.files[0].path == "pool/main/h/hello/hello_1.0-2.dsc"
    assert lockfile.parts["tool"].materials == ("pkg:deb/debian/hello@1.0-2?arch=source",)
    world.without_engine()
    assert make(world, locked=True).built.index.digest == result.built.index.digest


def test_a_version_that_the_recipe_names_is_taken(world: Steps) -> None:
    publish(world, "1.0-1", "1.0-2")
    result = make(world, "source: hello, version: 1.0-1")
    assert "taken/hello_1.0-1.dsc" in listing(result)
    with pytest.raises(OutOfDate, match="the source package hello is not locked"):
        make(world, "source: hello, version: 1.0-2", locked=True)


def test_a_dsc_that_lists_other_files_than_sources_is_refused(world: Steps) -> None:
    publish(world, "1.0-1", dsc_lists={**FILES, "hello_1.0.orig.tar.xz": b"another"})
    with pytest.raises(HomeportError, match="lists other files than Sources does") as caught:
        make(world)
    assert caught.value.id == "integrity"


def test_a_file_with_other_bytes_than_sources_says_is_refused(world: Steps) -> None:
    publish(world, "1.0-1")
    (world.archive.root / "pool/main/h/hello/hello_1.0.orig.tar.xz").write_bytes(b"tampered")
    with pytest.raises(HomeportError) as caught:
        make(world)
    assert caught.value.id == "integrity"


def test_a_source_package_that_no_suite_has_is_an_error_at_its_line(world: Steps) -> None:
    publish(world, "1.0-1")
    with pytest.raises(
        HomeportError, match="no suite of the recipe has the source package hullo"
    ) as e:
        make(world, "source: hullo")
    assert e.value.where["field"] == "parts[0].inputs[0]"
