"""Slice files, what slices reach, and which paths they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.recipe import describe, slices
from homeport.debian.deb.path_globs import EVERYTHING
from homeport.recipe.boundary import Boundary
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.slices.model import (
    Slice,
    SliceName,
    SlicePath,
    copyright_slice,
    match_slice,
    wanted_globs,
)
from homeport.recipe.slices.reading import SliceFolders, read_slice_file, slice_name
from homeport.yamlfile.position import FilePosition

_PLACE = FilePosition(file="homeport.yaml", line=7, field="packages[0]")


def test_a_slice_has_its_paths_on_each_architecture_and_none_means_all_of_a_package() -> None:
    slice = Slice(
        name=SliceName(package="p", slice="s"),
        paths=(SlicePath(path="/b"), SlicePath(path="/arm", architectures=("armhf",))),
    )
    assert wanted_globs([slice], "amd64").globs == ("/b",)
    assert wanted_globs([slice, copyright_slice("p")], "armhf").globs == (
        "/arm", "/b", "/usr/share/doc/p", "/usr/share/doc/p/copyright",
    )  # fmt: skip
    assert wanted_globs([], "amd64") == EVERYTHING


def test_a_slice_takes_its_paths_and_tells_what_matched_nothing() -> None:
    slice = Slice(
        name=SliceName(package="p", slice="s"),
        paths=(
            SlicePath(path="/a/?"),
            SlicePath(path="/d/"),
            SlicePath(path="/gone"),
            SlicePath(path="/arm", architectures=("armhf",)),
        ),
    )
    paths = [b"a", b"a/b", b"a/c", b"a/c/d", b"d", b"arm"]
    found = match_slice(slice, "amd64", paths, {b"a", b"a/c", b"d"})
    assert found.paths == {b"a/b", b"d"}
    assert [entry.path for entry in found.unmatched] == ["/gone"]
    assert match_slice(slice, "armhf", paths, {b"a", b"a/c", b"d"}).paths == {b"a/b", b"d", b"arm"}
    assert b"d" in match_slice(slice, "amd64", paths).paths


def test_slices_bring_what_they_need_on_each_architecture(tmp_path: Path) -> None:
    slices(tmp_path, "x1", "a: {needs: [y1_b, {slice: z1_c, architectures: [armhf]}], paths: [/x]}")
    slices(tmp_path, "y1", "b: {needs: [x1_a], paths: [/y]}")  # a circle is no fault
    slices(tmp_path, "z1", "c: {paths: [/z]}")
    folders = SliceFolders([tmp_path / "slices"], Boundary((tmp_path,)))
    wanted = [(slice_name("x1_a"), _PLACE)]
    assert list(map(str, folders.reach(wanted, "amd64"))) == ["x1_a", "y1_b"]
    assert list(map(str, folders.reach(wanted, "armhf"))) == ["x1_a", "y1_b", "z1_c"]
    assert folders.faults == []


def test_where_archives_have_the_successor_its_slice_is_taken_with_its_own_needs(
    tmp_path: Path,
) -> None:
    slices(tmp_path, "x1", "a: {needs: [old1_b], paths: [/x]}")
    slices(tmp_path, "old1", "b: {needs: [y1_c], paths: [/y]}", "new1")
    slices(tmp_path, "new1", "b: {needs: [z1_c], paths: [/y]}", "newest1")
    slices(tmp_path, "newest1", "b: {paths: [/y]}")
    for name in ("y1", "z1"):
        slices(tmp_path, name, "c: {paths: [/z]}")
    folders = SliceFolders([tmp_path / "slices"], Boundary((tmp_path,)))

    def reached(*available: str) -> list[str]:
        wanted = [(slice_name("x1_a"), _PLACE)]
        return list(map(str, folders.reach(wanted, "amd64", available.__contains__)))

    assert reached() == ["old1_b", "x1_a", "y1_c"]
    assert reached("new1") == ["new1_b", "x1_a", "z1_c"]
    assert reached("new1", "newest1") == ["newest1_b", "x1_a"]
    # One after the other: what is not in the archives leads nowhere.
    assert reached("newest1") == reached()
    # Without archives, all that may be taken: the request of a lockfile holds their definitions.
    everything = folders.reach([(slice_name("x1_a"), _PLACE)], "amd64")
    assert list(map(str, everything)) == ["new1_b", "newest1_b", "old1_b", "x1_a", "y1_c", "z1_c"]
    assert folders.faults == []


def test_successors_that_do_not_exist_or_go_round_are_faults(tmp_path: Path) -> None:
    slices(tmp_path, "old1", "b: {paths: [/y]}", "new1")
    slices(tmp_path, "new1", "other: {paths: [/y]}")
    slices(tmp_path, "x1", "b: {paths: [/y]}", "y1")
    slices(tmp_path, "y1", "b: {paths: [/y]}", "x1")
    folders = SliceFolders([tmp_path / "slices"], Boundary((tmp_path,)))
    folders.reach([(slice_name("old1_b"), _PLACE), (slice_name("x1_b"), _PLACE)], "amd64")
    assert [fault.what for fault in folders.faults] == [
        "x1, y1 are successors of each other",
        "unknown slice new1_b (the successor of old1_b)",
    ]
    assert str(folders.current(slice_name("x1_b"), lambda _: True)) == "x1_b"


def test_a_slice_that_is_not_defined_is_named_with_who_wants_it(tmp_path: Path) -> None:
    slices(tmp_path, "x1", "libs: {needs: [y1_b], paths: [/x]}")
    folders = SliceFolders([tmp_path / "slices"], Boundary((tmp_path,)))
    folders.reach([(slice_name("x1_lib"), _PLACE), (slice_name("x1_libs"), _PLACE)], "amd64")
    assert [(fault.what, fault.hint) for fault in folders.faults] == [
        (
            "unknown slice y1_b (x1_libs needs it)",
            f"write {tmp_path}/slices/y1.yaml, or take the whole package",
        ),
        ("unknown slice x1_lib", "did you mean x1_libs?"),
    ]
    assert folders.faults[0].where["line"] == 7


def test_a_slice_beside_the_recipe_stands_before_the_one_of_the_catalog(tmp_path: Path) -> None:
    slices(tmp_path / "own", "x1", "a: {paths: [/own]}")
    slices(tmp_path / "shipped", "x1", "a: {paths: [/shipped]}\nb: {paths: [/b]}")
    folders = SliceFolders(
        [tmp_path / "own/slices", tmp_path / "shipped/slices"], Boundary((tmp_path,))
    )
    found = folders.get(slice_name("x1_a"))
    assert found is not None
    assert found.paths[0].path == "/own"
    assert folders.get(slice_name("x1_b")) is not None
    assert folders.of_package("x1") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: {paths: [usr/x]}", "4:15 slices.a.paths[0]: path 'usr/x' must start with /"),
        ("a: {paths: [/x/../y]}",
         "4:15 slices.a.paths[0]: path '/x/../y' has an empty, '.' or '..' part"),
        ("a: {path: [/x]}", "4:7 slices.a.path: unknown field 'path' of a slice"),
        ("a: {needs: [x1]}",
         "4:15 slices.a.needs[0]: invalid value 'x1': expected a slice reference"),
        ("copyright: {paths: [/x]}", "1:1 slices.copyright: every package has the slice "
         "copyright already"),
        ("a: {paths: [/x]}\na: {paths: [/y]}", "5:3 slices.a: duplicate key 'a', "
         "first in line 4"),
    ],
)  # fmt: skip
def test_a_faulty_slice_file_is_told_where(tmp_path: Path, text: str, fault: str) -> None:
    path = slices(tmp_path, "x1", text)
    _, faults = read_slice_file(path.read_bytes(), path)
    assert [describe(found) for found in faults] == [fault]


def test_a_slice_file_is_called_like_its_package(tmp_path: Path) -> None:
    path = slices(tmp_path, "x1", "a: {paths: [/x]}").rename(tmp_path / "y1.yaml")
    _, faults = read_slice_file(path.read_bytes(), path)
    assert [fault.what for fault in faults] == ["the file of x1 must be called x1.yaml"]


@pytest.mark.parametrize(
    "path", sorted(shipped_catalog().slices.glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_slice_file_of_the_catalog_is_right_and_needs_only_slices_that_are_there(
    path: Path,
) -> None:
    found, faults = read_slice_file(path.read_bytes(), path)
    folders = SliceFolders([path.parent], Boundary((path.parent,)))
    for architecture in ("amd64", "armhf"):
        folders.reach([(slice.name, _PLACE) for slice in found.values()], architecture)
    assert [*faults, *folders.faults] == []
