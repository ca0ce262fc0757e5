"""The programs of docs/python.md as a type checker of somebody else's project sees them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from test_python_docs import programs

CHECKERS = {"mypy": ["--strict", "--no-incremental"], "pyright": ["--pythonpath", sys.executable]}


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_programs_of_the_page_have_no_type_errors(checker: str, tmp_path: Path) -> None:
    program = shutil.which(
        checker, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.fail(f"install {checker} (pip install 'pyright[nodejs]'; .ci/run does)")
    files = []
    for number, text in enumerate(programs().values()):
        (tmp_path / f"program_{number}.py").write_text(text)
        files.append(f"program_{number}.py")
    if checker == "pyright":
        (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "standard"}')
    done = subprocess.run(
        [program, *CHECKERS[checker], *files], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
