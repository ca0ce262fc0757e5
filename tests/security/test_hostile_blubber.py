"""Blubber files of strangers: variants that include each other deeply or many times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builders.growth import lines_run
from homeport.blubber.check import Checked, check
from homeport.budget import LimitExceeded
from homeport.errors import Faults

HEAD = "version: v4\nbase: debian\nvariants:\n  var0: {}\n"


def checked(folder: Path, lines: str) -> Checked:
    file = folder / "blubber.yaml"
    file.write_text(HEAD + lines)
    return check(file)


def diamonds(count: int) -> str:
    """Each variant includes both before it, so that there are twice as many ways to the first."""
    first = "  one1: {includes: [var0]}\n  two1: {includes: [var0]}\n"
    return first + "".join(
        f"  one{n}: {{includes: [one{n - 1}, two{n - 1}]}}\n"
        f"  two{n}: {{includes: [two{n - 1}, one{n - 1}]}}\n"
        for n in range(2, count + 1)
    )


def twice(count: int) -> str:
    return chain(count, "includes: [var{n}, var{n}]")


def chain(count: int, text: str = "includes: [var{n}]") -> str:
    lines = (text.replace("{n}", str(n - 1)) for n in range(1, count + 1))
    return "".join(f"  var{n}: {{{line}}}\n" for n, line in enumerate(lines, 1))


@pytest.mark.parametrize("ways", [diamonds, twice])
def test_many_ways_to_one_variant_are_one(ways: Callable[[int], str], tmp_path: Path) -> None:
    small = lines_run(lambda: checked(tmp_path, ways(8)))
    large = lines_run(lambda: checked(tmp_path, ways(16)))
    assert large < 6 * small
    (*_, last) = checked(tmp_path, ways(40)).variants
    assert last.config == {"base": "debian"}


def test_includes_as_deep_as_the_file_is_long_are_no_crash(tmp_path: Path) -> None:
    assert len(checked(tmp_path, chain(1100)).variants) == 1101


def test_a_loop_of_many_variants_is_a_short_fault(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        checked(
            tmp_path, chain(300).replace("var1: {includes: [var0]}", "var1: {includes: [var300]}")
        )
    (fault,) = caught.value.faults
    assert "variants include each other: " in fault.what
    assert len(fault.what) < 200


@pytest.mark.parametrize(
    "text",
    [
        "copies: [{from: var{n}}]",
        "includes: [var{n}], apt: {packages: [pkg{n}]}",
        "includes: [var{n}], copies: [{from: local, source: a{n}, destination: b{n}}]",
    ],
)
def test_what_all_variants_inherit_together_is_bounded(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEPORT_LIMIT_STEPS", "20000")
    with pytest.raises(LimitExceeded, match="steps of work"):
        checked(tmp_path, chain(120, text))
