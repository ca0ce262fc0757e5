"""Expansion of variables in words, form by form."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.dockerfile.expand import CannotExpand, expand

VARIABLES = {"x": "value", "e": "", "v": "1.2.3-rc1", "p": "a/b/c"}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("$x", "value"),
        ("${x}y", "valuey"),
        ("$xy", ""),
        ("${x:-w}", "value"),
        ("${e:-w}", "w"),
        ("${e-w}", ""),
        ("${u-w}", "w"),
        ("${u:-${x}}", "value"),
        ("${x:+w}", "w"),
        ("${e:+w}", ""),
        ("${e+w}", "w"),
        ("${u+w}", ""),
        ("${x:?m}", "value"),
        ("${e?m}", ""),
        ("${v#1.}", "2.3-rc1"),
        ("${v#*.}", "2.3-rc1"),
        ("${v##*.}", "3-rc1"),
        ("${v%-*}", "1.2.3"),
        ("${v%.*}", "1.2"),
        ("${v%%.*}", "1"),
        ("${v/./_}", "1_2.3-rc1"),
        ("${v//./_}", "1_2_3-rc1"),
        ("${p//\\//-}", "a-b-c"),
        ("${p/*\\//}", "c"),
        ("${v/?/X}", "X.2.3-rc1"),
        ('"$x"', "value"),
        ("'$x'", "$x"),
        ("\\$x", "$x"),
        ('"\\$x \\a"', "$x \\a"),
        ("a$", "a$"),
        ("$0$1x", "x"),
        ("", ""),
    ],
)
def test_every_form_has_the_value_that_buildkit_gives_it(word: str, value: str) -> None:
    assert expand(word, VARIABLES).value == value


@pytest.mark.parametrize(
    "word", ["${", "${x", "${}", "${:-x}", "${x!y}", "${x:=y}", "'a", '"a', "${u:?no}", "${x/a}"]
)
def test_what_buildkit_refuses_is_refused(word: str) -> None:
    with pytest.raises(CannotExpand):
        expand(word, VARIABLES)


def test_the_message_of_a_required_variable_is_in_the_error() -> None:
    with pytest.raises(CannotExpand, match="base: say which"):
        expand("${base:?say which}", {})


def test_the_escape_character_is_the_files() -> None:
    assert expand("`$x", VARIABLES, "`").value == "$x"
    assert expand("\\$x", VARIABLES, "`").value == "\\value"


def test_used_and_missing_variables_are_told_apart() -> None:
    found = expand("${x}${u:-$e}", VARIABLES)
    assert found.used == ("x", "e")
    assert found.missing == ("u",)


def test_nesting_is_bounded() -> None:
    with pytest.raises(CannotExpand, match="nests"):
        expand("${a:-" * 100 + "x" + "}" * 100, {})


def test_growth_is_bounded() -> None:
    with pytest.raises(CannotExpand, match="more than"):
        expand("$x" * 100, {"x": "y" * 10_000})


@given(st.text(alphabet=string.ascii_letters + string.digits + "./:@-_", max_size=50))
def test_text_without_marks_is_itself(text: str) -> None:
    assert expand(text, {}).value == text


@given(st.text(max_size=80))
def test_any_word_expands_or_is_refused(word: str) -> None:
    with contextlib.suppress(CannotExpand):
        expand(word, VARIABLES)


@given(
    st.text(alphabet="ab.*?", max_size=8),
    st.text(alphabet="ab.", max_size=12),
    st.sampled_from(["#", "##", "%", "%%"]),
)
def test_cutting_leaves_the_other_end_of_the_value(pattern: str, value: str, form: str) -> None:
    """What is left is the value without a prefix (or suffix), never anything else."""
    left = expand(f"${{v{form}{pattern}}}", {"v": value}).value
    assert value.endswith(left) if form[0] == "#" else value.startswith(left)
