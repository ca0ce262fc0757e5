"""tests/STATUS.md names tests that exist: a claim stands on a run."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
STATUS = TESTS / "STATUS.md"
STATES = re.compile(r"(done|partly \(.+\)|not run \(.+\)|done \(.+\))")


def test_every_test_that_the_status_names_exists() -> None:
    named = re.findall(r"([\w/]+\.py)::(test_\w+)", STATUS.read_text())
    assert len(named) > 100
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).is_file() or f"def {name}(" not in (TESTS / file).read_text()
    ]
    assert missing == []


def test_every_row_of_the_status_says_how_it_stands() -> None:
    rows = [line for line in STATUS.read_text().splitlines() if line.startswith("| ")]
    wrong = [
        line
        for line in rows
        if not line.startswith("| asked for ")
        and not STATES.fullmatch(line.rstrip(" |").rpartition(" | ")[2].strip())
    ]
    assert wrong == []
