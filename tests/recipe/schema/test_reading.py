"""What a recipe file says is what the recipe is: values as written, faults all at once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.recipe import catalog, faults_of, recipe, recipe_file
from homeport.errors import Faults
from homeport.oci.platform import parse_platform
from homeport.recipe.entries import ImageFiles, InlineFile, LocalFiles
from homeport.recipe.loading import load_recipe
from homeport.recipe.schema.fields import read_recipe_text
from homeport.recipe.text_files import BadRecipe
from homeport.yamlfile.parse import DEEPEST, LARGEST


def test_the_short_forms_of_packages(tmp_path: Path) -> None:
    found = recipe(
        tmp_path, "packages: [hello, libc6_libs, 'busybox=1:1.37.0-6', zlib1g/trixie-backports]"
    )
    assert [(c.name, c.slices, c.version, c.suite) for c in found.packages] == [
        ("hello", (), None, None),
        ("libc6", ("libs",), None, None),
        ("busybox", (), "1:1.37.0-6", None),
        ("zlib1g", (), None, "trixie-backports"),
    ]


def test_every_kind_of_file(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    found = recipe(
        tmp_path,
        f"""
        accounts:
          users: [{{name: app, uid: 1000, gid: 1001}}]
        files:
          - {{from: tool, to: /usr/bin/, mode: 0755, owner: app}}
          - {{text: "a: b\\n", to: /etc/x, owner: "7"}}
          - {{image: "registry.example/t@{digest}", path: /bin/t, to: /usr/bin/t}}
        """,
    )
    local, inline, image = found.files
    assert isinstance(local, LocalFiles)
    assert (local.source, local.to, local.mode) == (tmp_path / "tool", "/usr/bin/", 0o755)
    assert (local.uid, local.gid) == (1000, 1001)
    assert isinstance(inline, InlineFile)
    assert (inline.text, inline.mode, inline.uid, inline.gid) == ("a: b\n", 0o644, 7, 7)
    assert isinstance(image, ImageFiles)
    assert (str(image.digest), image.mode, image.uid) == (digest, None, None)


@pytest.mark.parametrize("text", ["yes", "1.10", "0644", "0x10", "1e3", "2026-01-01", "on"])
def test_text_stays_what_was_written_whatever_yaml_thinks_of_it(tmp_path: Path, text: str) -> None:
    assert recipe(tmp_path, f"config: {{env: {{A: {text}}}}}").config.env == {"A": text}


@pytest.mark.parametrize("written", ["0644", '"0644"', "'0644'"])
def test_a_mode_is_octal_quoted_or_not(tmp_path: Path, written: str) -> None:
    found = recipe(tmp_path, f"directories: [{{path: /x, mode: {written}}}]")
    assert found.directories[0].mode == 0o644


@pytest.mark.parametrize("written", ["644", "0o644", "420", "rw-r--r--", "08888"])
def test_a_mode_that_could_be_misread_is_refused(tmp_path: Path, written: str) -> None:
    (fault,) = faults_of(tmp_path, f"directories: [{{path: /x, mode: {written}}}]")
    assert (
        fault == f"1:32 directories[0].mode: invalid value {written!r}: expected four octal digits"
    )


@pytest.mark.parametrize("written", ["yes", "True", '"true"', "1", "on"])
def test_only_true_and_false_switch_a_step(tmp_path: Path, written: str) -> None:
    (fault,) = faults_of(tmp_path, f"steps: {{tmp: {written}}}")
    assert "expected true or false" in fault


def test_all_faults_of_a_file_come_in_one_pass(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        """
        pakages: [hello]
        packages:
          - Hello
          - name: x1
            version: "1 2"
            colour: red
        files:
          - {from: a, text: b, to: /c}
          - {to: /c}
          - {text: x, to: c}
        config:
          entrypoint: /bin/sh -c x
          user: app
          env: {A: }
        config: {}
        without: [perl-base, Perl]
        """,
    )
    assert found == [
        "1:1 pakages: unknown field 'pakages' of the recipe",
        "3:5 packages[0]: invalid value 'Hello': expected a package",
        "5:14 packages[1].version: invalid version '1 2': "
        "upstream '1 2' is empty or has invalid characters",
        "6:5 packages[1].colour: unknown field 'colour' of a package",
        "8:5 files[0]: an entry of files needs exactly one of from, text, part, image; "
        "it has from and text",
        "9:5 files[1]: an entry of files needs exactly one of from, text, part, image; it has none",
        "10:19 files[2].to: invalid path 'c': it is not absolute",
        "12:15 config.entrypoint: expected a list of strings, found the string '/bin/sh -c x'",
        "13:9 config.user: the recipe has no user 'app'",
        "14:12 config.env.A: expected text, found nothing",
        "15:1 config: duplicate key 'config', first in line 14",
        "16:22 without[1]: invalid value 'Perl': expected a package name",
    ]


def test_a_misspelt_field_is_told_its_near_name(tmp_path: Path) -> None:
    path = recipe_file(tmp_path, "pakages: [hello]")
    _, reader = read_recipe_text(path.read_bytes(), str(path))
    assert reader.faults[0].hint == "did you mean packages?"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "invalid YAML"),
        ("a: \x01", "invalid YAML"),
        ("", "the file is empty"),
        ("# only a comment", "the file is empty"),
        ("a: 1\n---\nb: 2", "unexpected second document; a file contains one"),
        ("a: !!python/object:os.system x", "unexpected tag"),
        ("a: !!binary aGk=", "unexpected tag"),
        ("? [a, b]\n: c", "a key must be text"),
        ("<<: {a: b}", "merge keys"),
        ("a: *b", "no earlier value has the anchor &b"),
        ("a: &b [*b]", "no earlier value has the anchor &b"),
        ("[" * (DEEPEST + 2), "nested more than"),
        ("[" * 100_000, "nest"),
        ("a: " + "x" * LARGEST, "the file is larger than"),
    ],
)
def test_text_that_is_no_plain_yaml_is_refused_where_it_goes_wrong(text: str, what: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        read_recipe_text(text.encode(), "x.yaml")
    assert what in caught.value.what
    assert caught.value.where["file"] == "x.yaml"


def test_what_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(BadRecipe) as caught:
        read_recipe_text(b"homeport: 1\nname: \xff\n", "x.yaml")
    assert caught.value.where == {"file": "x.yaml", "line": 2}


def test_a_billion_laughs_end_early() -> None:
    """Aliases that double at each step; the bound is on what is read."""
    lines = ["homeport: 1", "x0: &x0 [libc6, libc6]"]
    lines += [f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]" for n in range(1, 30)]
    lines += ["packages: *x29"]
    _, reader = read_recipe_text("\n".join(lines).encode(), "x.yaml")
    assert reader.faults
    many = "homeport: 1\nx: &x [" + "a," * 1000 + "]\nwithout: [" + "*x," * 400 + "]\n"
    _, reader = read_recipe_text(many.encode(), "x.yaml")
    assert any("expected a package name" in fault.what for fault in reader.faults)
    env = "homeport: 1\nper_platform:\n" + "".join(
        f"  p{n}: {'&p {packages: [' + 'a1,' * 2000 + ']}' if n == 0 else '*p'}\n"
        for n in range(99)
    )
    with pytest.raises(BadRecipe, match="aliases expanded"):
        read_recipe_text(env.encode(), "x.yaml")


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_at_all_make_the_reader_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(BadRecipe):
        read_recipe_text(b"homeport: 1\n" + data, "x.yaml")


_VALUES = st.recursive(
    st.sampled_from(["", "~", "yes", "1", "linux/amd64", "/x", "a", "0644", '"q"', "a_b", "*"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(
            st.sampled_from(["from", "to", "text", "name", "path", "mode", "platforms", "z"]),
            inner,
            max_size=3,
        ).map(lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}")
    ),
    max_leaves=8,
)
_FIELDS = st.sampled_from(
    ["packages", "files", "links", "config", "steps", "per_platform", "accounts", "archives",
     "platforms", "pins", "without", "extends", "directories", "name", "summary"]
)  # fmt: skip


@given(st.dictionaries(_FIELDS, _VALUES, max_size=5))
def test_any_fields_give_a_recipe_or_faults_with_places(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]
) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    root.mkdir(exist_ok=True)
    text = "\n".join(f"{name}: {value}" for name, value in fields.items())
    path = recipe_file(root, text)
    try:
        load_recipe(path, catalog(root))
    except Faults as caught:
        faults = caught.faults
    else:
        return
    assert faults
    assert all(fault.where["file"] == str(path) for fault in faults)


def test_platforms_are_normalised_and_sorted(tmp_path: Path) -> None:
    found = recipe(tmp_path, "platforms: [x86_64, linux/arm64/v8, arm/v7]".replace("arm/v7", "arm"))
    assert list(map(str, found.platforms)) == ["linux/amd64", "linux/arm/v7", "linux/arm64"]


def test_parts_of_one_platform_are_only_its(tmp_path: Path) -> None:
    found = recipe(
        tmp_path,
        """
        platforms: [linux/amd64, linux/arm64]
        packages: [hello, {name: sed, platforms: [linux/arm64]}]
        config: {env: {A: "1", B: "2"}, cmd: [x]}
        per_platform:
          linux/amd64:
            packages: [grep]
            config: {env: {B: "3"}, entrypoint: [/y]}
        """,
    )
    amd64, arm64 = parse_platform("amd64"), parse_platform("arm64")
    assert [c.name for c in found.packages if c.applies_to(amd64)] == ["hello", "grep"]
    assert [c.name for c in found.packages if c.applies_to(arm64)] == ["hello", "sed"]
    assert found.config_for(amd64).env == {"A": "1", "B": "3"}
    assert (found.config_for(amd64).entrypoint, found.config_for(amd64).cmd) == (("/y",), ())
    assert found.config_for(arm64).cmd == ("x",)


def test_a_package_of_a_second_architecture_is_an_error_that_says_why() -> None:
    text = b"homeport: 1\nplatforms: [linux/amd64]\npackages: ['libc6:i386', 'aa=1:2-3']\n"
    _, reader = read_recipe_text(text, "x.yaml")
    (fault,) = reader.faults
    assert "an image has packages of one architecture only" in fault.what
    assert fault.hint == "write libc6; packages of i386 are for an image of its own platform"
