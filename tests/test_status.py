"""tests/STATUS.md and docs/security.md name tests that exist: a claim stands on a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
STATUS = TESTS / "STATUS.md"
SECURITY = TESTS.parent / "docs/security.md"
STATES = re.compile(r"(done|partly \(.+\)|not run \(.+\)|done \(.+\))")


@pytest.mark.parametrize(("page", "least"), [(STATUS, 100), (SECURITY, 60)])
def test_every_test_that_a_page_names_exists(page: Path, least: int) -> None:
    named = re.findall(r"([\w/]+\.py)::(test_\w+)", page.read_text())
    assert len(named) >= least
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).is_file() or f"def {name}(" not in (TESTS / file).read_text()
    ]
    assert missing == []


def test_every_promise_of_security_names_its_test() -> None:
    lines = SECURITY.read_text().splitlines()
    tables = [line for line in lines if line.startswith(("| promise |", "| compared |"))]
    rows = [line for line in lines if line.startswith("| ") and line.count(" | ") == 1]
    wrong = [line for line in rows if "::test_" not in line and line not in tables]
    assert len(tables) >= 9
    assert wrong == []


def test_every_row_of_the_status_says_how_it_stands() -> None:
    rows = [line for line in STATUS.read_text().splitlines() if line.startswith("| ")]
    wrong = [
        line
        for line in rows
        if not line.startswith("| asked for ")
        and not STATES.fullmatch(line.rstrip(" |").rpartition(" | ")[2].strip())
    ]
    assert wrong == []
