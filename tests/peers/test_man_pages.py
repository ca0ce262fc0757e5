"""The man pages as mandoc and man read them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from homeport.cli.main import run


@pytest.mark.peer("mandoc")
@pytest.mark.peer("man")
def test_mandoc_and_man_find_no_fault(tmp_path: Path) -> None:
    assert run(["docs", "--man", str(tmp_path), "-q"]) == 0
    pages = sorted(tmp_path.glob("*.1"))
    linted = subprocess.run(
        ["mandoc", "-Tlint", "-Wstyle", *pages], capture_output=True, text=True, check=False
    )
    # They carry no date; long words (URLs, lists of values) cannot be broken.
    known = ("missing date", "longer than 80 bytes")
    said = [line for line in (linted.stdout + linted.stderr).splitlines() if line]
    assert [line for line in said if not any(text in line for text in known)] == []
    for page in pages:
        shown = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", page], capture_output=True, text=True,
            check=True,
            env={**os.environ, "MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert shown.stderr == "", page
        assert "SYNOPSIS" in shown.stdout
