"""Suites that end, lag or were archived, clocks that are wrong, and roots of parts."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from builders.archive import DATE, suite
from builders.deb import deb
from builders.freshness import LATER, FreshWorld, changes, entry, package
from homeport.content.digest import Digest
from homeport.freshness.outdated import exit_code
from homeport.oci.platform import parse_platform
from homeport.recipe.lock.model import LockedPart, LockedSource, LockedTree
from homeport.recipe.lock.reading import read_lockfile
from homeport.recipe.lock.writing import write_lockfile

ENDED = b"""\
version,codename,series,created,release,eol,eol-lts
13,T,trixie,2020-01-01,2021-01-01,2024-01-01,2025-06-01
"""
ONE = (
    "archives: [{name: test, suites: [trixie], mirrors: [./none], keys: [key.asc]}]\n"
    "packages: [lib1]"
)


def locked(tmp_path: Path, text: str = "packages: [lib1]", *more: bytes) -> FreshWorld:
    world = FreshWorld(tmp_path, {"trixie": [package("lib1", "1-1"), *more]})
    world.lock_recipe(text)
    return world


def test_a_frozen_suite_without_valid_until_looks_healthy_but_its_support_is_over(
    tmp_path: Path,
) -> None:
    """As bullseye-security after its LTS: signed, whole, never expired, and dead."""
    files = {"usr/share/distro-info/debian.csv": ENDED}
    world = locked(tmp_path, ONE, deb("distro-info-data", "1", files=files))
    world.now = DATE + timedelta(days=400)
    report = world.outdated()
    (support,) = report.subjects[0].support
    assert (report.complete, changes(report.subjects[0])) == (True, [])
    assert (support.level, support.text) == ("error", "long term support ended on 2025-06-01")
    assert exit_code(report) == 3


def test_a_release_that_left_the_mirrors_is_ended_and_not_known(tmp_path: Path) -> None:
    """404 for every suite: nothing is known of packages, the end of support is."""
    text = ONE.replace("[trixie]", "[buster]")
    world = FreshWorld(tmp_path, {})
    world.archive.publish(
        suite("buster", [package("lib1", "1-1")], codename="buster", valid_for=None)
    )
    world.lock_recipe(text)
    world.archive.lose("dists/buster/*")
    (tmp_path / "empty").mkdir()
    world.store = type(world.store)(tmp_path / "empty")
    report = world.outdated()
    (unknown,) = report.subjects[0].unknown
    assert unknown.what == "test buster"
    assert "buster" in unknown.why
    assert [s.level for s in report.subjects[0].support] == ["error"]
    assert exit_code(report) == 3


def test_a_clock_that_is_slow_is_named_and_nothing_is_up_to_date(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.move("trixie", [package("lib1", "1-2")])
    world.now = LATER - timedelta(days=2)
    report = world.outdated()
    assert any("clock" in each.why for each in report.subjects[0].unknown)
    assert report.subjects[0].changes == ()
    assert exit_code(report) == 1


def test_a_clock_that_is_fast_expires_nothing_within_valid_until(tmp_path: Path) -> None:
    world = locked(tmp_path)
    world.now = DATE + timedelta(days=2)
    assert exit_code(world.outdated()) == 0


def test_an_alias_that_lags_behind_its_release_is_said(tmp_path: Path) -> None:
    """dists/stable of 13.7 while dists/trixie is 13.8 already."""
    world = FreshWorld(tmp_path, {})
    old, new = [package("lib1", "1-1")], [package("lib1", "1-2")]
    world.archive.publish(suite("stable", old, codename="trixie", valid_for=None, version="13.7"))
    world.lock_recipe(ONE.replace("[trixie]", "[stable]"))
    world.move("trixie", new)
    report = world.outdated()
    (unknown,) = report.subjects[0].unknown
    assert unknown.why == (
        "this mirror's stable is of 2026-01-10, its trixie of 2026-01-12 already: "
        "name trixie in the recipe, or wait"
    )
    assert exit_code(report) == 1


def with_root(world: FreshWorld, root: str, source: str = "") -> None:
    """The lockfile with a part whose build root has the packages of another recipe.

    source: version of the source package ``hello`` that the part takes
    """
    path = world.home / "test.lock"
    lockfile = read_lockfile(path)
    assert lockfile is not None
    output = LockedTree(digest=Digest.of(b"x"), size=1)
    part = LockedPart(
        inputs=Digest.of(b""),
        root=world.lock(root).lockfile,
        outputs={parse_platform("linux/amd64"): output},
        sources=(_hello(source),) if source else (),
    )
    write_lockfile(msgspec.structs.replace(lockfile, parts={"tool": part}), path)


def test_a_build_root_has_changes_of_its_own(tmp_path: Path) -> None:
    """A fix in a library that a static program took in shows in the root alone."""
    gcc = package("gcc", "1-1", log=[entry("gcc", "1-1")])
    world = locked(tmp_path, "packages: [lib1]", gcc)
    with_root(world, "packages: [gcc]")
    fixed = package("gcc", "1-2", log=[entry("gcc", "1-2", "* CVE-2026-1"), entry("gcc", "1-1")])
    world.move("trixie", [package("lib1", "1-1"), fixed])
    report = world.outdated()
    assert [(c.name, c.part) for c in report.subjects[0].changes] == [("gcc", "tool")]
    assert exit_code(report) == 4


def _hello(version: str) -> LockedSource:
    return LockedSource(name="hello", version=version, archive="test", suite="trixie", files=())


@pytest.mark.parametrize(
    ("sources", "level", "text", "code"),
    [
        ({"hello": ["1.0-1"]}, None, "", 0),
        ({"hello": ["1.0-1", "1.0-2", "1.0-2~rc1"]}, "error",
         "1.0-2 is in trixie: the part tool takes 1.0-1", 4),
        ({"hello": ["0.9-1"]}, "warning",
         "0.9-1 is the highest: the part tool takes 1.0-1, which was withdrawn", 0),
        ({"other": ["1.0-2"]}, "warning",
         "is in no suite any more: the part tool takes 1.0-1", 0),
    ],
)  # fmt: skip
def test_source_packages_of_parts_are_compared_with_the_archives_sources(
    tmp_path: Path, sources: dict[str, list[str]], level: str | None, text: str, code: int
) -> None:
    world = locked(tmp_path)
    with_root(world, "packages: [lib1]", "1.0-1")
    world.archive.publish_sources("trixie", sources)
    report = world.outdated()
    found = [(i.level, i.what, i.text) for i in report.subjects[0].inputs]
    assert found == ([(level, "source package hello", text)] if level else [])
    assert exit_code(report) == code


def test_a_version_that_the_recipe_names_is_a_note(tmp_path: Path) -> None:
    world = locked(tmp_path)
    with_root(world, "packages: [lib1]", "1.0-1")
    world.archive.publish_sources("trixie", {"hello": ["1.0-1", "1.0-2"]})
    world.recipe(
        "packages: [lib1]\nparts:\n  - name: tool\n    packages: [lib1]\n"
        "    inputs: [{source: hello, version: 1.0-1, to: /in}]\n    run: make\n"
        "files: [{part: tool, path: /, to: /taken}]"
    )
    report = world.outdated()
    (found,) = report.subjects[0].inputs
    text = "1.0-2 is in trixie: the part tool takes 1.0-1, which the recipe names"
    assert (found.level, found.text) == ("note", text)
    assert exit_code(report) == 0


def test_sources_that_cannot_be_read_are_not_known(tmp_path: Path) -> None:
    world = locked(tmp_path)
    with_root(world, "packages: [lib1]", "1.0-1")
    world.archive.publish_sources("trixie", {"hello": ["1.0-2"]})
    shutil.rmtree(world.archive.dists("trixie") / "main/source")
    report = world.outdated()
    (unknown,) = report.subjects[0].unknown
    assert unknown.what == "source packages of the part tool"
    assert (report.subjects[0].inputs, exit_code(report)) == ((), 1)


def test_an_archive_without_sources_says_nothing_of_them(tmp_path: Path) -> None:
    world = locked(tmp_path)
    with_root(world, "packages: [lib1]", "1.0-1")
    report = world.outdated()
    (unknown,) = report.subjects[0].unknown
    assert unknown.why == "no suite of the recipe lists source packages"
