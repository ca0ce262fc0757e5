"""Sizes and counts, written and read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import UsageError
from homeport.quantities import counted, human_size, parse_size


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
