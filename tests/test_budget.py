"""The one budget: each limit by itself, how it is raised, and what the error says."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from homeport.budget import Budget, LimitExceeded, Limits, limits_set
from homeport.errors import TooLarge, UsageError

SMALL = Limits(entries=3, bytes=100, ratio=10, path_bytes=20, memory=50, steps=7, depth=2)


@pytest.mark.parametrize(
    ("limit", "within", "beyond", "message"),
    [
        ("entries", lambda b: b.entries(3, 0), lambda b: b.entries(1, 0), "3 entries"),
        ("path_bytes", lambda b: b.entry(b"x" * 20), lambda b: b.entry(b"y"), "20 B of paths"),
        ("bytes", lambda b: b.data(100), lambda b: b.data(1), "100 B of content"),
        ("memory", lambda b: b.memory(50), lambda b: b.memory(1), "50 B of metadata"),
        ("steps", lambda b: b.steps(7), lambda b: b.steps(), "7 steps of work"),
        ("depth", lambda b: b.entry(b"a/b"), lambda b: b.entry(b"a/b/c"), "2 levels of nesting"),
        ("depth", lambda b: b.depth(2), lambda b: b.depth(3), "2 levels of nesting"),
    ],
)
def test_each_limit_holds_exactly_and_its_error_says_how_to_raise_it(
    limit: str, within: Callable[[Budget], None], beyond: Callable[[Budget], None], message: str
) -> None:
    budget = Budget("layer 3", SMALL)
    within(budget)
    with pytest.raises(LimitExceeded) as caught:
        beyond(budget)
    raised = getattr(SMALL, limit) * 10
    assert caught.value.to_json() == {
        "id": "limit-exceeded",
        "what": f"layer 3: more than {message}",
        "where": {"limit": limit},
        "hint": f"if you trust it, raise the limit: --limit {limit}={raised}",
        "exit_code": 1,
    }
    assert isinstance(caught.value, TooLarge)


def test_a_packed_thing_may_unpack_to_a_gigabyte_and_then_to_a_multiple_of_its_size() -> None:
    limits = Limits(bytes=64 << 30, ratio=10)
    assert limits.unpacked(1000) == 1 << 30
    assert limits.unpacked(1 << 30) == 10 << 30
    assert limits.unpacked(8 << 30) == 64 << 30
    budget = Budget("layer 0", limits, packed=1000)
    budget.data(1 << 30)
    with pytest.raises(LimitExceeded, match=r"more than 1\.07 GB of content") as caught:
        budget.data(1)
    assert caught.value.where == {"limit": "ratio"}


def test_a_reader_may_be_able_to_do_less_than_the_limit() -> None:
    budget = Budget("values.yaml", Limits(depth=1000))
    budget.depth(50, most=50)
    with pytest.raises(LimitExceeded, match=r"^values.yaml: more than 50 levels of nesting$"):
        budget.depth(51, most=50)


def test_the_environment_raises_and_lowers_limits() -> None:
    limits = Limits.of({"HOMEPORT_LIMIT_BYTES": "1TiB", "HOMEPORT_LIMIT_DEPTH": "4_000"})
    assert limits == Limits(bytes=1 << 40, depth=4000)


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan"])
def test_an_invalid_limit_names_its_variable(text: str) -> None:
    with pytest.raises(UsageError, match=f"invalid limit '{text}' in HOMEPORT_LIMIT_STEPS"):
        Limits.of({"HOMEPORT_LIMIT_STEPS": text})


def test_limits_are_set_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEPORT_LIMIT_DEPTH", "7")
    monkeypatch.delenv("HOMEPORT_LIMIT_STEPS", raising=False)
    with limits_set(["depth=9", "steps=5"]):
        assert Budget("x").limits == Limits(depth=9, steps=5)
    assert Budget("x").limits == Limits(depth=7)
    assert "HOMEPORT_LIMIT_STEPS" not in os.environ


@pytest.mark.parametrize("setting", ["deep=3", "depth", "depth=", "depth=none"])
def test_an_invalid_setting_is_a_usage_error(setting: str) -> None:
    with pytest.raises(UsageError, match=r"unknown limit|invalid limit"), limits_set([setting]):
        pass
