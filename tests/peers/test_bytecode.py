"""The committed bytecode is what the interpreter in the built image makes of the sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/make_bytecode.py"


@pytest.mark.network
def test_the_images_own_interpreter_makes_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
