"""Numbers of strangers that are none: digits that ``int`` does not read, or thousands of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from homeport.errors import UsageError
from homeport.freshness.git_refs import moved_commit, read_refs
from homeport.freshness.newer_tags import newer_tag
from homeport.publishing.tags import check_version, newest_first, parse_dated
from homeport.quantities import whole_number
from homeport.recipe.parts import GitInput

NINES = "9" * 5_000
NONE = [NINES, "²", "٣", "-1", "1 ", "", "+1", "1_0"]


@pytest.mark.parametrize("text", NONE, ids=lambda text: text[:3])
def test_it_is_no_number(text: str) -> None:
    assert whole_number(text) is None


def test_numbers_stay_numbers() -> None:
    assert [whole_number(text) for text in ("0", "007", "999999999999999999")] == [
        0, 7, 999_999_999_999_999_999,
    ]  # fmt: skip


@pytest.mark.parametrize("text", NONE, ids=lambda text: text[:3])
def test_a_tag_of_a_registry_is_no_newer_version(text: str) -> None:
    assert newer_tag("1.2.3", [f"1.2.{text}", "1.2.4"]) == ("1.2.4", True)
    assert newer_tag(f"1.2.{text}", ["1.2.4"]) is None


@pytest.mark.parametrize("text", NONE, ids=lambda text: text[:3])
def test_a_tag_of_a_registry_is_no_dated_one(text: str) -> None:
    assert parse_dated(f"{text}.2026112800") is None
    assert parse_dated(f"1.{text}-20261128") is None
    assert newest_first([f"1.2.20261128{text}", f"1.2-20261128.{text}"]) == []


def test_digits_of_other_scripts_are_no_version() -> None:
    with pytest.raises(UsageError, match="invalid version"):
        check_version("١.٢")


def test_a_repository_with_a_tag_of_thousands_of_digits_is_read() -> None:
    refs = read_refs(
        f"{'a' * 40}\trefs/tags/v1.2.3\n{'b' * 40}\trefs/tags/v1.2.{NINES}\n"
        f"{'c' * 40}\trefs/tags/v1.2.4\n".encode()
    )
    wanted = SimpleNamespace(url="https://git.example/r", ref="v1.2.3", commit="a" * 40)
    (found,) = moved_commit(cast(GitInput, wanted), lambda _url: refs)
    assert "v1.2.4 is newer" in getattr(found, "text", "")
