"""deb822 text is read strictly, with the line in every error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.debian.deb822 import Malformed, parse_paragraph, parse_paragraphs
from homeport.errors import HomeportError


def as_dicts(data: bytes, *, comments: bool = False) -> list[dict[str, str]]:
    return [
        {field.name: field.value for field in paragraph.fields.values()}
        for paragraph in parse_paragraphs(data, comments=comments)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n\n", []),
        ("A: 1", [{"A": "1"}]),
        ("A: 1\n", [{"A": "1"}]),
        ("A:1\nB:   two words  \n", [{"A": "1", "B": "two words"}]),
        ("A: 1\n\nA: 2\n", [{"A": "1"}, {"A": "2"}]),
        ("A: 1\n \t\nA: 2\n", [{"A": "1"}, {"A": "2"}]),
        ("A: 1\r\nB: 2\r\n", [{"A": "1", "B": "2"}]),
        ("A:\n one\n  two\n .\n", [{"A": "\none\n two\n."}]),
        ("A: x: y\n", [{"A": "x: y"}]),
    ],
)
def test_paragraphs_are_read(text: str, expected: list[dict[str, str]]) -> None:
    assert as_dicts(text.encode()) == expected


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("A: 1\nnonsense\n", 2, "Field: value"),
        (" continued\n", 1, "follows no field"),
        ("A: 1\n\n continued\n", 3, "follows no field"),
        ("A: 1\nB: 2\na: 3\n", 3, "on line 1"),
        ("-A: 1\n", 1, "Field: value"),
        ("A B: 1\n", 1, "Field: value"),
        ("<!DOCTYPE html>\n", 1, "Field: value"),
        ("A: 1\nB: \0\n", 2, "NUL"),
    ],
)
def test_what_is_not_deb822_is_an_error_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(Malformed) as caught:
        as_dicts(text.encode())
    assert caught.value.where["line"] == line
    assert words in caught.value.what


def test_what_is_not_utf_8_is_an_error_with_its_line() -> None:
    with pytest.raises(Malformed) as caught:
        as_dicts(b"A: 1\nB: \xff\n")
    assert caught.value.where["line"] == 2


def test_comments_are_left_out_also_inside_a_field_when_asked_for() -> None:
    text = b"# about\nA: 1\n# between\n 2\n#B: 3\n"
    assert as_dicts(text, comments=True) == [{"A": "1\n2"}]
    with pytest.raises(Malformed):
        as_dicts(text)


def test_fields_know_their_lines_and_do_not_care_for_case() -> None:
    paragraph = parse_paragraph(b"\nOne: 1\nTwo:\n a\n b\nThree: 3\n")
    assert paragraph.get("THREE") == "3"
    assert paragraph.line_of("three") == 6
    assert paragraph.line == 2
    assert "two" in paragraph
    assert "four" not in paragraph
    assert paragraph.get("four", "none") == "none"


@pytest.mark.parametrize(("text", "line"), [(b"\n", 1), (b"A: 1\n\nB: 2\n", 3)])
def test_one_paragraph_is_one_and_no_other_number(text: bytes, line: int) -> None:
    with pytest.raises(Malformed) as caught:
        parse_paragraph(text)
    assert caught.value.where["line"] == line


def test_a_paragraph_with_very_many_fields_is_refused() -> None:
    text = "".join(f"F{number}: x\n" for number in range(1001)).encode()
    with pytest.raises(HomeportError, match="more than 1000 fields"):
        as_dicts(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_with_a_line(data: bytes) -> None:
    faults = []
    try:
        as_dicts(data)
    except HomeportError as error:
        faults.append(error)
    for fault in faults:
        assert 1 <= int(fault.where["line"]) <= data.count(b"\n") + 1


names = st.from_regex(r"[a-z]{1,8}(-[a-z]{1,4})?", fullmatch=True)
characters = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="\x85\x7f")
values = st.text(characters, min_size=1, max_size=9).map(str.strip)


@given(st.lists(st.dictionaries(names, values, min_size=1, max_size=5), max_size=4))
def test_what_was_written_is_what_is_read(paragraphs: list[dict[str, str]]) -> None:
    text = "\n".join("".join(f"{k}: {v}\n" for k, v in item.items()) for item in paragraphs)
    assert as_dicts(text.encode()) == paragraphs
