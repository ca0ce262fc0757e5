"""Sizes and counts, written and read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeport
from homeport.errors import UsageError
from homeport.quantities import apart, counted, human_size, parse_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (5_090_000, "5.09 MB"),
        (8 << 60, "9223372.04 TB"),
    ],
)  # fmt: skip
def test_sizes_are_for_people(size: int, text: str) -> None:
    assert human_size(size) == text


def test_nouns_have_their_plural() -> None:
    assert [counted(1, "layer"), counted(0, "layer"), counted(2, "entry", "entries")] == [
        "1 layer", "0 layers", "2 entries",
    ]  # fmt: skip


@given(st.integers(0, 10**12))
def test_plain_digits_are_bytes(number: int) -> None:
    assert parse_size(str(number)) == number


@pytest.mark.parametrize(
    ("text", "size"), [("5GiB", 5 << 30), ("1.5 kB", 1500), ("500mb", 500 * 10**6), ("0", 0)]
)
def test_units_are_decimal_or_binary(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1e99", "5 apples", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid size"):
        parse_size(text)


def test_sizes_that_differ_never_read_the_same() -> None:
    assert apart(4, 10) == ("4 B", "10 B")
    assert apart(5_090_000, 7_000_000) == ("5.09 MB", "7.00 MB")
    assert apart(5_090_000, 5_090_001) == ("5,090,000 B", "5,090,001 B")
    assert apart(5_090_001, 5_090_001) == ("5.09 MB", "5.09 MB")


def test_no_message_gives_a_raw_count_of_bytes() -> None:
    """Modules that import nothing of ours, and what runs in images without ``quantities``, may."""
    sources = Path(homeport.__file__).parent
    others = ("copying/", "reaper/", "net/response_check.py", "tree/libdeflate.py")
    found = [
        f"{path.relative_to(sources)}: {line.strip()}"
        for path in sorted(sources.rglob("*.py"))
        if not str(path.relative_to(sources)).startswith(others)
        for line in path.read_text().splitlines()
        if re.search(
            r"""f"[^"]*(size|length|LIMIT|LARGEST|MOST|\)|left|seen|found)\} bytes""", line
        )
    ]
    assert found == []
