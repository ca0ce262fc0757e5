"""Names, changelogs, control files and configuration, as docker-pkg reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dockerpkg.trees import add_image, tree_at
from homeport.cli.main import homeport
from homeport.dockerpkg.configuration import BadConfiguration, read_configuration
from homeport.dockerpkg.names import BadVersion, Naming, next_version, selects, upstream_version
from homeport.errors import Faults, UsageError


@pytest.mark.parametrize(
    ("registry", "namespace", "expected"),
    [("r", "n", "r/n/foo:1"), ("", "n", "n/foo:1"), ("", "", "foo:1")],
)
def test_a_name_is_made_of_the_parts_that_there_are(
    registry: str, namespace: str, expected: str
) -> None:
    assert Naming(registry=registry, namespace=namespace).full("foo", "1") == expected


def test_a_version_that_cannot_be_a_tag_is_refused_with_its_changelog(tmp_path: Path) -> None:
    root = tmp_path / "images"
    folder = add_image(root, "foobar-server", version="0.0.1~alpha1")
    with pytest.raises(Faults) as raised:
        tree_at(root)
    (fault,) = raised.value.faults
    assert "'0.0.1~alpha1' cannot be a tag" in fault.what
    assert fault.hint == "in the changelog write '0.0.1-alpha1'"
    assert fault.where == {"file": str(folder / "changelog"), "line": 1}


def test_build_depends_come_first_and_lists_may_go_over_lines(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "x", control="Depends: a, b,\n c,\nBuild-Depends: d\n")
    add_image(root, "none")
    tree = tree_at(root)
    assert tree.images["x"].depends == ("d", "a", "b", "c")
    assert tree.images["none"].depends == ()


def test_directories_with_half_an_image_are_passed_over_with_a_warning_each(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "good")
    add_image(root, "no-template", None)
    (add_image(root, "no-changelog") / "changelog").unlink()
    tree = tree_at(root)
    assert list(tree.images) == ["good"]
    assert [line.rpartition("/")[2] for line in tree.warnings] == [
        "no-changelog: passed over, there is no changelog",
        "no-template: passed over, there is no Dockerfile.template or homeport.yaml",
    ]


def test_two_directories_of_one_image_and_both_kinds_of_source_are_faults(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root / "one", "same")
    add_image(root / "two", "same")
    add_image(root, "both", files={"homeport.yaml": "homeport: 1\n"})
    with pytest.raises(Faults) as raised:
        tree_at(root)
    assert [fault.what for fault in raised.value.faults] == [
        "both Dockerfile.template and homeport.yaml are here",
        "the image 'same' is also in one/same",
    ]


def test_nightlies_and_snapshots_change_every_tag(tmp_path: Path) -> None:
    root = tmp_path / "images"
    add_image(root, "a", version="1.2")
    assert tree_at(root, suffix="-20261124", registry="r.example").images["a"].reference == (
        "r.example/a:1.2-20261124"
    )


@pytest.mark.parametrize(
    ("tag", "upstream"),
    [("1.63.0-1-20241211", "1.63.0"), ("1.2", "1.2"), ("0.0.1~alpha1", "0.0.1~alpha1")],
)
def test_the_upstream_version_also_behind_a_port(tag: str, upstream: str) -> None:
    assert upstream_version(f"localhost:5000/n/foo:{tag}") == upstream


@pytest.mark.parametrize(
    ("version", "update_id", "after"),
    [
        ("1.2.3", "s", "1.2.3-s1"), ("1.2.3-s1", "s", "1.2.3-s2"),
        ("1.2.3-1-s4", "s", "1.2.3-1-s5"), ("1.2.3", "", "1.2.3-1"), ("1.2.3-1", "", "1.2.3-2"),
    ],
)  # fmt: skip
def test_the_next_version(version: str, update_id: str, after: str) -> None:
    assert next_version(version, update_id) == after


@pytest.mark.parametrize("version", ["1:2.0", "1.0~rc1", "1.0+b1", "v1"])
def test_versions_that_no_other_follows_are_refused(version: str) -> None:
    with pytest.raises(BadVersion, match="no version follows"):
        next_version(version, "s")


@given(st.from_regex(r"[0-9][0-9.]{0,8}(-[0-9]{1,3})?", fullmatch=True), st.integers(1, 9))
def test_versions_go_up_by_one(version: str, times: int) -> None:
    found = version
    for _ in range(times):
        found = next_version(found, "s")
    assert found == f"{version}-s{times}"


def test_select_is_a_glob_over_the_whole_name() -> None:
    assert selects("*c*", "r.example/n/abc:1")
    assert not selects("abc*", "r.example/n/abc:1")


def test_the_trees_file_replaces_whole_keys_of_the_users(tmp_path: Path) -> None:
    user, file = tmp_path / "user.yaml", tmp_path / "config.yaml"
    user.write_text("registry: u.example\nknown_uid_mappings: {a: 1}\nhttp_proxy: http://p:8\n")
    file.write_text("known_uid_mappings: {b: 2}\ncolour: blue\n")
    found = read_configuration(file, user)
    assert found.text("registry") == "u.example"
    assert found.uids == {"b": 2}
    assert found.variables["colour"] == "blue"
    assert found.text("apt_only_proxy") == "http://p:8"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("registry: [a]", "registry"), ("base_images: x", "base_images"),
        ("known_uid_mappings: {a: -1}", "known_uid_mappings"), ("driver: podman", "driver"),
        ("force_numeric_user: 'yes'", "force_numeric_user"),
        ("platforms: [a/b/c/d/e]", "platforms"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_by_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(BadConfiguration) as raised:
        read_configuration(tmp_path / "config.yaml")
    assert raised.value.where["field"] == field


def test_merge_keys_are_read_as_docker_pkg_reads_them(tmp_path: Path) -> None:
    text = "known: &known {root: 0, app: 900}\nknown_uid_mappings: {<<: *known, other: 901}\n"
    (tmp_path / "config.yaml").write_text(text)
    found = read_configuration(tmp_path / "config.yaml")
    assert found.uids == {"root": 0, "app": 900, "other": 901}


def test_a_missing_configuration_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match="no such file"):
        read_configuration(tmp_path / "config.yaml")


def test_every_fault_of_a_configuration_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("registry: [a]\nbase_images: {}\nnamespace: n\n")
    with pytest.raises(Faults) as raised:
        read_configuration(tmp_path / "config.yaml")
    assert [fault.where["field"] for fault in raised.value.faults] == ["registry", "base_images"]


def test_a_list_is_made_without_a_network_and_a_missing_tree_is_named(tmp_path: Path) -> None:
    image = tmp_path / "t" / "a"
    image.mkdir(parents=True)
    (tmp_path / "t" / "config.yaml").write_text("registry: registry.example\n")
    (image / "Dockerfile.template").write_text("FROM docker.io/library/debian:13\n")
    (image / "changelog").write_text(
        "a (1) x; urgency=low\n\n  * y\n\n -- A <a@b.c>  Mon, 01 Jan 2024 00:00:00 +0000\n"
    )
    words = ["docker-pkg", "list", "--cache-dir", str(tmp_path / "cache")]
    listed = CliRunner().invoke(homeport, [*words, "--offline", str(tmp_path / "t")])
    assert (listed.exit_code, "registry.example/a:1" in listed.stdout) == (0, True), listed.stderr
    missing = CliRunner().invoke(homeport, [*words, str(tmp_path / "none")])
    assert isinstance(missing.exception, UsageError)
    assert "no such directory" in missing.exception.what


def test_a_folder_without_images_says_what_an_image_is(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match="no images in") as raised:
        tree_at(tmp_path / "images")
    assert "Dockerfile.template" in str(raised.value.hint)
