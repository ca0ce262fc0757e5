"""The reference is made from the code, and this fails while it is stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_code_says() -> None:
    code = "from make_reference import reference; print(reference(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "tools", capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs/reference.md").read_text() == done.stdout, "run tools/make_reference.py"
