"""The reference is made from the code, and this fails while it is stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_what_the_code_says() -> None:
    code = "from make_reference import reference; print(reference(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=DOCS, capture_output=True, text=True, check=True
    )
    assert (DOCS / "reference.md").read_text() == done.stdout, "run docs/make_reference.py"
