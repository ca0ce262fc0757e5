"""The table of attacks in docs/security.md: each row names cases that run, as many as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TESTS = ROOT / "tests"
ROW = re.compile(r"\| (.+ → .+) \| (.+) \| ([0-9]+) \|")


def rows() -> list[tuple[str, list[str], int]]:
    """Attacker and target, files with the attacks, and their number."""
    text = (ROOT / "docs/security.md").read_text().partition("## Attacks tried")[2]
    found = [ROW.fullmatch(line) for line in text.splitlines()]
    return [(row[1], re.findall(r"`([^`]+\.py)`", row[2]), int(row[3])) for row in found if row]


@pytest.fixture(scope="module")
def cases() -> Counter[str]:
    """How many tests each file has, as pytest counts them."""
    files = sorted({file for _, named, _ in rows() for file in named})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider",
         *(str(TESTS / file) for file in files)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    return Counter(
        line.partition("::")[0].removeprefix("tests/")
        for line in done.stdout.splitlines()
        if "::" in line
    )


@pytest.mark.parametrize(("threat", "files", "least"), rows(), ids=[row[0] for row in rows()])
def test_a_row_names_as_many_attacks_as_it_says(
    cases: Counter[str], threat: str, files: list[str], least: int
) -> None:
    assert sum(cases[file] for file in files) >= least
    assert all(cases[file] for file in files)


def test_every_module_of_this_folder_is_in_the_table() -> None:
    named = {file for _, files, _ in rows() for file in files}
    modules = {f"security/{path.name}" for path in TESTS.glob("security/test_*.py")}
    promised = (ROOT / "docs/security.md").read_text()
    missing = modules - named - {"security/test_threats.py"}
    assert [name for name in sorted(missing) if name not in promised] == []
