"""Platforms: how people write them, and which image is for which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import UsageError
from homeport.oci.platform import Platform, parse_platform, parse_platforms

PART = st.from_regex(r"[a-z0-9_.-]{1,8}", fullmatch=True)
SYSTEM = PART.filter(lambda word: parse_platform(f"{word}/x").os == word)  # no architecture


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("arm64", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("arm/v7", "linux/arm/v7"),
        ("arm64/v8", "linux/arm64"),
        ("windows/amd64:10.0.20348", "windows/amd64:10.0.20348"),
        ("windows(10.0.20348.2582)/amd64", "windows/amd64:10.0.20348.2582"),
        ("windows(10.0.17763+win32k)/amd64", "windows/amd64:10.0.17763+win32k"),
        ("linux/amd64:+sse4+avx2", "linux/amd64:+sse4+avx2"),
    ],
)
def test_a_platform_is_read_in_every_spelling_and_written_in_one(text: str, written: str) -> None:
    assert str(parse_platform(text)) == written
    assert parse_platform(written) == parse_platform(text)


@pytest.mark.parametrize(
    "text",
    ["", "/", "linux/", "a/b/c/d", "linux/amd 64", "windows/amd64:", "windows()/amd64", "a(b)/c d"],
)
def test_what_is_no_platform_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="invalid platform"):
        parse_platform(text)


@given(
    PART.filter(lambda os: parse_platform(f"{os}/x").os == os),
    PART,
    st.one_of(st.just(""), PART),
    st.lists(PART, max_size=2),
)
def test_what_is_written_is_read_again(
    os: str, architecture: str, version: str, features: list[str]
) -> None:
    one = Platform(
        os=os, architecture=architecture, os_version=version, os_features=tuple(features)
    ).normalized()
    assert parse_platform(str(one)) == one


def test_a_platform_outside_the_grammar_is_shown_escaped() -> None:
    odd = Platform(os="linux", architecture="x\n::error::y", variant="\x1b[2J")
    assert str(odd) == "linux/x\\n::error::y/\\x1b[2J"


@pytest.mark.parametrize(
    ("image", "wanted", "fits"),
    [
        ("windows/amd64:10.0.20348.2582", "windows/amd64", True),
        ("windows/amd64:10.0.20348.2582", "windows/amd64:10.0.20348", True),
        ("windows/amd64:10.0.20348.2582", "windows/amd64:10.0.2034", False),
        ("windows/amd64", "windows/amd64:10.0.20348", False),
        ("windows/amd64:10.0.1+win32k", "windows/amd64:10.0.1", True),
        ("windows/amd64:10.0.1", "windows/amd64:10.0.1+win32k", False),
    ],
)
def test_a_wanted_version_may_be_shorter_and_wanted_features_must_be_there(
    image: str, wanted: str, fits: bool
) -> None:
    assert parse_platform(image).satisfies(parse_platform(wanted)) is fits


@pytest.mark.parametrize("text", ["", " ", "amd64,", ",", "amd64,,arm64"])
def test_an_empty_platform_is_a_mistake_and_not_all(text: str) -> None:
    with pytest.raises(UsageError, match="empty platform"):
        parse_platforms([text])


def test_several_platforms_are_separated_by_commas() -> None:
    found = parse_platforms(["windows/amd64:10.0.20348,arm64", "linux/arm64"])
    assert found == [parse_platform("windows/amd64:10.0.20348"), parse_platform("arm64")]
