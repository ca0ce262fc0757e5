"""Debian source packages as inputs of parts: found through signed Sources, checked, pinned."""

from __future__ import annotations

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


@pytest.fixture
def world(tmp_path: Path, dockerd_20: RunningEngine) -> Steps:
    return Steps(tmp_path, dockerd_20)


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
    world.archive.publish_sources("trixie", {"hello": ["1.0-1", "1.0-2"]})
    result = make(world)
    found = {path: what for path, what in listing(result).items() if path.startswith("taken/")}
    assert sorted(found) == [
        "taken/hello_1.0-2.debian.tar.xz",
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
    world.archive.publish_sources("trixie", {"hello": ["1.0-1", "1.0-2"]})
    result = make(world, "source: hello, version: 1.0-1")
    assert "taken/hello_1.0-1.dsc" in listing(result)
    with pytest.raises(OutOfDate, match="the source package hello is not locked"):
        make(world, "source: hello, version: 1.0-2", locked=True)


def test_a_dsc_that_lists_other_files_than_sources_is_refused(world: Steps) -> None:
    world.archive.publish_sources("trixie", {"hello": ["1.0-1"]}, dsc_lists={"x": b"another"})
    with pytest.raises(HomeportError, match="lists other files than Sources does") as caught:
        make(world)
    assert caught.value.id == "integrity"


def test_a_file_with_other_bytes_than_sources_says_is_refused(world: Steps) -> None:
    world.archive.publish_sources("trixie", {"hello": ["1.0-1"]})
    (world.archive.root / "pool/main/h/hello/hello_1.0.orig.tar.xz").write_bytes(b"tampered")
    with pytest.raises(HomeportError) as caught:
        make(world)
    assert caught.value.id == "integrity"


def test_a_source_package_that_no_suite_has_is_an_error_at_its_line(world: Steps) -> None:
    world.archive.publish_sources("trixie", {"hello": ["1.0-1"]})
    with pytest.raises(
        HomeportError, match="no suite of the recipe has the source package hullo"
    ) as e:
        make(world, "source: hullo")
    assert e.value.where["field"] == "parts[0].inputs[0]"
