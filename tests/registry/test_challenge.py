"""Challenges are read by a tokenizer, whatever servers write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.registry.challenge import Challenge, best, parse_challenges

CASES = {
    "one of distribution": (
        [
            'Bearer realm="https://auth.example/token",service="r.example",'
            'scope="repository:a/b:pull,push"'
        ],
        [
            (
                "bearer",
                {
                    "realm": "https://auth.example/token",
                    "service": "r.example",
                    "scope": "repository:a/b:pull,push",
                },
            )
        ],
    ),
    "two in one header": (
        ['Basic realm="x", Bearer realm="https://a/",scope="b"'],
        [("basic", {"realm": "x"}), ("bearer", {"realm": "https://a/", "scope": "b"})],
    ),
    "two headers": (
        ['Negotiate', 'BASIC Realm=x'],
        [("negotiate", {}), ("basic", {"realm": "x"})],
    ),
    "quotes and commas inside quotes": (
        [r'Bearer realm="a\"b, c",service = "s"'],
        [("bearer", {"realm": 'a"b, c', "service": "s"})],
    ),
    "values without quotes": (
        ["Bearer realm=https://a/t,service=s"],
        [("bearer", {"realm": "https://a/t", "service": "s"})],
    ),
    "nothing": ([""], []),
    "a scheme alone": (["Basic"], [("basic", {})]),
    "rubbish": ([',,,"x"==@ Basic realm="y"'], None),
    "a quote that never ends": (['Bearer realm="https://a'], None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_challenge_is_read(name: str) -> None:
    headers, expected = CASES[name]
    found = [(one.scheme, dict(one.parameters)) for one in parse_challenges(headers)]
    if expected is not None:
        assert found == expected


def test_bearer_is_preferred_to_basic_and_unknown_ones_are_left_out() -> None:
    basic, bearer = Challenge(scheme="basic"), Challenge(scheme="bearer")
    assert best([basic, bearer]) is bearer
    assert best([Challenge(scheme="digest"), basic]) is basic
    assert best([Challenge(scheme="negotiate")]) is None


@given(st.lists(st.text(max_size=80), max_size=3))
def test_any_header_is_read_without_an_error(headers: list[str]) -> None:
    for one in parse_challenges(headers):
        assert one.scheme == one.scheme.lower()
        assert isinstance(one.scopes, frozenset)
