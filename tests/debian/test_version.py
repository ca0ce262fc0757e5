"""Debian's version order: deb-version(7), and the table that dpkg itself confirmed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.debian.version import BadVersion, parse_version

# Each row was answered by ``dpkg --compare-versions``.
ORDER = """
1.0~rc1 < 1.0           1.0~~ < 1.0~             1.0 = 1.0-0             1.0 = 1.0-00
1.0-1 < 1.0-1+b1        1.0-1+b1 < 1.0-1+deb13u1 1.0-1+deb13u1 < 1.0-1.1 1:0.9 > 2.0
0:1.0 = 1.0             1.10 > 1.9               1.0a < 1.0+             1.0+ < 1.0.
1.0+dfsg > 1.0-1        1.0-1~bpo12+1 < 1.0-1    1.0-1~deb13u1 < 1.0-1   009 = 9
1.0-1+deb13u10 > 1.0-1+deb13u9                   1.0A < 1.0a             10 > 1a
1.0-1-1 > 1.0-1         1.0 > 1.0~+really0.9     1.2.3~+1 > 1.2.3~1      1.0.0 > 1.0
1.0. > 1.0              3.13.5-2 < 3.13.10-1     1.0+b1 > 1.0b1          1.0a > 1.0-1
1.0-1build1 < 1.0-1ubuntu1                       1.0-1+b1 < 1.0-1+deb13u1
"""
WORDS = ORDER.split()
ROWS = list(zip(WORDS[::3], WORDS[1::3], WORDS[2::3], strict=True))

parts = st.text("019aZ~+.", min_size=1, max_size=6)
versions = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:", "10:"]),
    st.builds(lambda first, rest: first + rest, st.sampled_from("019"), parts),
    st.one_of(st.just(""), parts.map(lambda part: f"-{part}")),
)


@pytest.mark.parametrize(("left", "operator", "right"), ROWS)
def test_versions_order_as_dpkg_orders_them(left: str, operator: str, right: str) -> None:
    a, b = parse_version(left), parse_version(right)
    assert {"<": a < b, "=": a == b, ">": a > b} == {op: op == operator for op in "<=>"}


@given(versions, versions)
def test_exactly_one_of_less_equal_greater_holds(left: str, right: str) -> None:
    a, b = parse_version(left), parse_version(right)
    assert [a < b, a == b, a > b].count(True) == 1
    assert (a < b) == (b > a)


@given(versions, versions, versions)
def test_the_order_is_transitive(one: str, two: str, three: str) -> None:
    a, b, c = sorted(map(parse_version, (one, two, three)))
    assert a <= b <= c
    assert a <= c


@given(versions)
def test_a_tilde_sorts_before_the_end_and_anything_else_after(text: str) -> None:
    """ "a tilde sorts before anything, even the end of a part" (deb-version(7))"""
    base = text if "-" in text else f"{text}-1"
    assert parse_version(f"{base}~") < parse_version(base)
    assert parse_version(f"{base}a") > parse_version(base)


@given(versions, versions)
def test_equal_versions_have_equal_hashes(left: str, right: str) -> None:
    a, b = parse_version(left), parse_version(right)
    if a == b:
        assert hash(a) == hash(b)


def test_the_first_colon_ends_the_epoch_and_the_last_hyphen_begins_the_revision() -> None:
    version = parse_version("1:2-3:4-5")
    assert (version.epoch, version.upstream, version.revision) == (1, "2-3:4", "5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (":1.0", "before the colon"),
        ("a:1.0", "before the colon"),
        ("1:", "upstream '' is empty"),
        ("1.0-", "revision '' is empty"),
        ("-1", "upstream '' is empty"),
        ("1.0 1", "invalid characters"),
        ("1.0_1", "invalid characters"),
        ("1.0-é", "invalid characters"),
        ("1.²", "invalid characters"),
        ("9" * 2000, "longer than"),
    ],
)
def test_what_is_no_version_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(BadVersion, match=message):
        parse_version(text)


def test_a_number_of_a_thousand_digits_is_compared_by_value() -> None:
    assert parse_version("1" + "0" * 1000) > parse_version("9" * 1000)
