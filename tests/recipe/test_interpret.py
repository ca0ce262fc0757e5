"""What parts of a recipe mean together: defaults, accounts, clashes, recipes that extend others."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.recipe import catalog, faults_of, recipe, recipe_file
from homeport.errors import Faults, UsageError
from homeport.recipe.catalog import Catalog, find_recipe, shipped_catalog
from homeport.recipe.loading import load_recipe
from homeport.recipe.missing_files import missing_files


def test_a_recipe_that_says_little_gets_debian_trixie_with_updates_and_security(
    tmp_path: Path,
) -> None:
    found = recipe(tmp_path, "summary: nothing")
    assert [(archive.name, archive.suites) for archive in found.archives] == [
        ("debian", ("trixie", "trixie-updates")),
        ("debian-security", ("trixie-security",)),
    ]
    assert found.steps.usrmerge
    assert found.steps.tmp


def test_the_name_is_that_of_the_folder_if_absent(tmp_path: Path) -> None:
    path = tmp_path / "my-image" / "homeport.yaml"
    path.parent.mkdir()
    path.write_text("homeport: 1\nplatforms: [linux/amd64]\n")
    assert load_recipe(path, catalog(tmp_path)).name == "my-image"


def test_platforms_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("homeport: 1\n")
    with pytest.raises(Faults) as caught:
        load_recipe(path, catalog(tmp_path))
    assert [fault.what for fault in caught.value.faults] == [
        "the recipe needs the field 'platforms'"
    ]


@pytest.mark.parametrize("extends", ["./base", "../base", "nosuch", "7"])
def test_what_an_unread_recipe_may_say_is_no_second_fault(tmp_path: Path, extends: str) -> None:
    (tmp_path / "base").write_text("homeport: 1\nplatforms: [linux/amd64]\n")
    (tmp_path / "in").mkdir()
    path = tmp_path / "in/x.yaml"
    path.write_text(f"homeport: 1\nextends: {extends}\npackages: [bash]\n")
    with pytest.raises(Faults) as caught:
        load_recipe(path, catalog(tmp_path))
    assert [fault.where.get("line") for fault in caught.value.faults] == [2]


def test_a_recipe_that_is_extended_and_missing_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("homeport: 1\nextends: ./base\n")
    with pytest.raises(Faults) as caught:
        load_recipe(path, catalog(tmp_path))
    (fault,) = caught.value.faults
    assert fault.what.startswith("missing file")
    assert fault.hint is not None
    assert fault.hint.startswith(f"paths are relative to {tmp_path}; ")


def test_a_list_whose_only_platform_is_unknown_is_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("homeport: 1\nplatforms: [linux/foo]\n")
    with pytest.raises(Faults) as caught:
        load_recipe(path, catalog(tmp_path))
    assert [fault.where["field"] for fault in caught.value.faults] == ["platforms[0]"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("packages: [a1, a1]", "1:16 packages[1]: duplicate package a1, first at homeport.yaml:4"),
        ("packages: [a1, a1_x]", "1:16 packages[1]: a1 is chosen whole and in slices, "
         "first at homeport.yaml:4"),
        ("packages: [a1_x, a1_x]", "1:18 packages[1]: duplicate slice a1_x, "
         "first at homeport.yaml:4"),
        ("packages: [{name: a1, slices: [x], version: '1'}, {name: a1, slices: [y], version: '2'}]",
         "1:51 packages[1]: a1 has two versions, first at homeport.yaml:4"),
        ("packages: [perl-base]\nwithout: [perl-base]",
         "1:12 packages[0]: perl-base is in packages and in without"),
        ("pins: [{name: a1, version: '1*'}, {name: a1, suite: sid}]",
         "1:35 pins[1]: duplicate pin of a1, first at homeport.yaml:4"),
        ("pins: [{name: a1}]", "1:8 pins[0]: a pin needs version or suite"),
        ("files: [{from: a, to: /x}, {text: a, to: /x}]",
         "1:28 files[1]: duplicate path /x, first at homeport.yaml:4"),
        ("links: [{path: /x, target: y}]\ndirectories: [/x]",
         "2:15 directories[0]: duplicate path /x, first at homeport.yaml:4"),
        ("files: [{text: a, to: /x/}]",
         "1:23 files[0].to: an inline file needs a name, but its path ends in /"),
        ("accounts: {users: [{name: a, uid: 1}, {name: b, uid: 1}]}",
         "1:39 accounts.users[1]: the number 1 of b belongs to a, at homeport.yaml:4"),
        ("accounts: {groups: [{name: a, gid: 1, members: [x]}]}",
         "1:21 accounts.groups[0]: the group a has the member x, "
         "which is not a user of the recipe"),
        ("files: [{from: a, to: /x, owner: app}]",
         "1:34 files[0].owner: the recipe has no user 'app'"),
        ("config: {user: 'root:wheel'}", "1:16 config.user: the recipe has no group 'wheel'"),
        ("packages: [{name: a1, platforms: [linux/s390x]}]",
         "1:12 packages[0]: the recipe has no platform linux/s390x"),
        ("per_platform: {linux/s390x: {config: {workdir: /}}}",
         "1:38 per_platform.linux/s390x.config: the recipe has no platform linux/s390x"),
        ("archives: [{name: vendor, suites: [x], mirrors: ['https://deb.vendor.example']}]",
         "1:12 archives[0]: the archive vendor needs the field 'keys'"),
        ("archives: [{name: debian, suites: [sid]}, {name: debian, suites: [sid]}]",
         "1:43 archives[1]: duplicate archive debian, first at homeport.yaml:4"),
        ("archives: [{name: debian, suites: [sid, sid]}]",
         "1:12 archives[0]: duplicate suite of the archive debian"),
        ("packages: [{name: a1, slices: []}]", "1:31 packages[0].slices: empty list of slices"),
        ("links: [{path: /, target: x}]",
         "1:16 links[0].path: invalid path '/': the root is a directory"),
        ("accounts: {users: [{name: app, uid: 0}]}",
         "1:20 accounts.users[0]: the number 0 of app belongs to root"),
        ("per_platform: {linux/amd64: {packages: [{name: a1, platforms: [linux/amd64]}]}}",
         "1:52 per_platform.linux/amd64.packages[0].platforms: "
         "unknown field 'platforms' of a package"),
        ("platforms: [linux/amd64, amd64]", "-2:12 platforms: duplicate platform"),
    ],
)  # fmt: skip
def test_what_cannot_both_be_is_a_fault_at_the_second_place(
    tmp_path: Path, text: str, fault: str
) -> None:
    found = faults_of(tmp_path, text)
    if text.startswith("platforms"):
        assert [line.partition(" ")[2] for line in found] == [fault.partition(" ")[2]]
    else:
        assert found == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "packages: [a1_x, a1_y]",
        "files: [{from: a, to: /x}]\ndirectories: [{path: /x, mode: 0700}]",
        "platforms: [linux/amd64, linux/arm64]\n"
        "links: [{path: /x, target: a, platforms: [linux/amd64]}, "
        "{path: /x, target: b, platforms: [linux/arm64]}]",
        "config: {user: '1000:1000'}",
        "config: {user: nobody}",
    ],
)
def test_what_can_both_be_is_no_fault(tmp_path: Path, text: str) -> None:
    assert faults_of(tmp_path, text) == []


def test_a_recipe_adds_to_what_it_extends_and_says_some_of_it_again(tmp_path: Path) -> None:
    recipe_file(
        tmp_path,
        """
        packages: [libc6_libs, hello]
        files: [{text: base, to: /a}, {text: base, to: /b}]
        config: {env: {A: "1", B: "1"}, entrypoint: [/old], cmd: [x]}
        steps: {tmp: false, usrmerge: false}
        without: [perl-base]
        """,
        "base/homeport.yaml",
    )
    found = recipe(
        tmp_path,
        """
        extends: ./base
        packages: [libc6_dns, {name: hello, version: "2"}]
        files: [{text: top, to: /b}]
        config: {env: {B: "2"}, entrypoint: [/new]}
        steps: {tmp: true}
        without: [debconf]
        """,
    )
    assert [(c.name, c.slices, c.version) for c in found.packages] == [
        ("libc6", ("libs",), None),
        ("libc6", ("dns",), None),
        ("hello", (), "2"),
    ]
    assert [(f.to, getattr(f, "text", "")) for f in found.files] == [("/a", "base"), ("/b", "top")]
    assert found.config.env == {"A": "1", "B": "2"}
    assert (found.config.entrypoint, found.config.cmd) == (("/new",), ())
    assert (found.steps.tmp, found.steps.usrmerge) == (True, False)
    assert found.without == ("perl-base", "debconf")
    assert found.slices == (
        tmp_path / "slices", tmp_path / "base" / "slices", tmp_path / "catalog" / "slices",
    )  # fmt: skip


def test_a_local_file_is_beside_the_recipe_that_names_it(tmp_path: Path) -> None:
    recipe_file(tmp_path, "files: [{from: x, to: /x}]", "base/homeport.yaml")
    found = recipe(tmp_path, "extends: ./base\nfiles: [{from: y, to: /y}]")
    missing = list(missing_files(found))
    assert [fault.where["file"] for fault in missing] == [
        str(tmp_path / "base/homeport.yaml"), str(tmp_path / "homeport.yaml"),
    ]  # fmt: skip
    (tmp_path / "base" / "x").touch()
    (tmp_path / "y").mkdir()
    assert list(missing_files(found)) == []


def test_recipes_that_extend_each_other_are_refused_with_the_circle(tmp_path: Path) -> None:
    recipe_file(tmp_path, "extends: ./b.yaml", "a.yaml")
    recipe_file(tmp_path, "extends: ./a.yaml", "b.yaml")
    with pytest.raises(Faults) as caught:
        load_recipe(tmp_path / "a.yaml", catalog(tmp_path))
    (fault,) = caught.value.faults
    assert fault.what.startswith("recipes extend each other: ")
    assert fault.where["file"] == str(tmp_path / "b.yaml")


def test_faults_of_a_recipe_and_of_what_it_extends_come_together(tmp_path: Path) -> None:
    recipe_file(tmp_path, "packages: [A]", "base.yaml")
    recipe_file(tmp_path, "extends: base.yaml\nlinks: [{path: x, target: y}]", "top.yaml")
    with pytest.raises(Faults) as caught:
        load_recipe(tmp_path / "top.yaml", catalog(tmp_path))
    assert [Path(str(fault.where["file"])).name for fault in caught.value.faults] == [
        "base.yaml", "top.yaml",
    ]  # fmt: skip


def test_a_user_can_extend_the_catalog(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, "extends: dockerfile-copy\nconfig: {labels: {team: x}}")
    found = load_recipe(path, shipped_catalog())
    assert found.name == "test"
    assert found.config.labels["team"] == "x"
    assert found.config.entrypoint == ("/usr/bin/copy",)


def test_every_recipe_of_the_catalog_can_be_read_and_its_files_are_there() -> None:
    catalog = shipped_catalog()
    assert "dockerfile-copy" in catalog.names()
    for name in catalog.names():
        found = load_recipe(find_recipe(name, catalog), catalog)
        assert found.name == name
        assert list(missing_files(found)) == []


def test_a_plain_name_is_looked_up_in_the_catalog_alone(tmp_path: Path) -> None:
    folder = Catalog(directory=tmp_path)
    recipe_file(tmp_path, "", "tool/homeport.yaml")
    assert find_recipe("tool", folder) == tmp_path / "tool" / "homeport.yaml"
    assert find_recipe(f"{tmp_path}/tool", folder) == tmp_path / "tool" / "homeport.yaml"
    with pytest.raises(UsageError) as caught:
        find_recipe("tol", folder)
    assert caught.value.hint == "did you mean tool? For a file or folder, write a slash: ./tol"
