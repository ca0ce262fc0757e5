"""Nothing that others wrote steers, hides or reorders what a terminal shows."""

from __future__ import annotations

import json
import os

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from homeport.copying.errors import shown
from homeport.printable import json_text, output_text, path_text, printable, yaml_word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text, ünïcödé, 漢字", "plain text, ünïcödé, 漢字"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x85\x9b0m", "\\x85\\x9b0m"),  # C1: a terminal may take them for ESC E and CSI
        ("a\u202etxt.exe", "a\\u202etxt.exe"),  # right to left
        ("\u2066x\u2069 \u200e\u200f\u061c", "\\u2066x\\u2069 \\u200e\\u200f\\u061c"),
        ("in\u200bvisi\u2060ble\ufeff", "in\\u200bvisi\\u2060ble\\ufeff"),
        ("\u2028line\u2029", "\\u2028line\\u2029"),
        ("a\xa0b\u3000c", "a\\xa0b\\u3000c"),  # blanks that are none
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\U000e0001tag", "\\U000e0001tag"),
    ],
)
def test_what_is_not_visible_becomes_an_escape(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_output_keeps_lines_and_tabs() -> None:
    assert output_text("a\n\tb\r\x1b") == "a\n\tb\\r\\x1b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::error::x", "\\x3a:error::x"),
        ("ok\n  ::set-env name=A::b\n", "ok\n  \\x3a:set-env name=A::b\n"),
        ("label ##[group]x", "label \\x23#[group]x"),
        ("##VSO[task.setvariable]x", "\\x23#VSO[task.setvariable]x"),
        ("a::b C::D # comment ## heading", "a::b C::D # comment ## heading"),
    ],
)
def test_no_line_is_a_command_of_a_ci_system(text: str, expected: str) -> None:
    assert output_text(text) == expected


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_visible_and_means_the_same(value: object) -> None:
    encoded = json.dumps(value, ensure_ascii=False, indent=1)
    found = json_text(encoded)
    assert json.loads(found) == value
    assert found.replace("\n", "").isprintable()


def test_c1_direction_marks_and_lone_surrogates_are_escaped_in_json() -> None:
    assert json_text('["\x9b\u202e\U000e0001\x7f", "ün漢"]') == (
        '["\\u009b\\u202e\\udb40\\udc01\\u007f", "ün漢"]'
    )


@given(st.text(st.characters(), max_size=40))
def test_any_text_is_one_visible_line_that_can_be_encoded(text: str) -> None:
    found = printable(text)
    assert found.isprintable()
    assert len(found.splitlines()) <= 1
    found.encode()
    assert printable(found) == found
    if text.isprintable():
        assert found == text
    kept = output_text(text)
    assert kept.replace("\n", "").replace("\t", "").isprintable()


@given(st.binary(max_size=100))
def test_the_engine_inside_the_image_shows_names_alike(name: bytes) -> None:
    assert shown(name) == printable(name.decode("utf-8", "backslashreplace"))


@given(st.binary(max_size=40))
def test_a_path_in_a_document_is_absolute_and_text(path: bytes) -> None:
    found = path_text(path)
    assert found.startswith("/")
    found.encode()
    assert path_text(b"/" + path) == found


@pytest.mark.parametrize(
    "text",
    ["/usr/bin/g++", "/a b", "/a], extends: [/etc/passwd", "/a: b", "/a #b", "- a", "/a'\"\\b", "",
     "/a\nb", "/\u202e", "/\U000e0001", "null", "/a,b", "&a", "*a", "!a", "1", "0x1", "~", "@a"],
)  # fmt: skip
def test_a_value_in_a_line_of_yaml_is_one_value(text: str) -> None:
    line = f"exclude: [{yaml_word(text)}]"
    assert line.isprintable()
    assert yaml.load(line, Loader=yaml.BaseLoader) == {"exclude": [text]}
