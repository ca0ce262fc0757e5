"""The check of the structure, on a tiny package with each fault and on one without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools/check_structure.py"
SOUND = {
    "tiny/__init__.py": "",
    "tiny/low.py": '"""What is below. More of it."""\n',
    "tiny/up/__init__.py": "",
    "tiny/up/high.py": '"""What is above."""\n\nfrom tiny import low\n',
    "tests/up/test_high.py": "",
}


def check(folder: Path, files: dict[str, str]) -> tuple[int, list[str]]:
    """The exit code, and the faults, one a line before the last."""
    for name, text in (SOUND | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "tiny", "tests"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()[:-1]


LATE = '"""What is below."""\n\n\ndef f() -> None:\n    {}import json{}\n'
DECODE = '"""What is below."""\n\n\nimport msgspec\ndef f():\n    {}\n'
BACK = '"""What is below."""\n\nfrom typing import TYPE_CHECKING\n\n'


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        ({}, []),
        (
            {"tiny/low.py": BACK + "if TYPE_CHECKING:\n    from tiny.up import high\n"},
            ["cycle: tiny.low tiny.up.high", "siblings in tiny: low up"],
        ),
        (
            {"tiny/low.py": '"""A."""\n\nfrom tiny.up import other\n',
             "tiny/up/other.py": '"""B."""\n'},
            ["siblings in tiny: low up"],
        ),
        ({"tiny/none.py": "X = 1\n"}, ["docstring: none.py has none"]),
        ({"tiny/low.py": LATE.format("", "")}, ["import: low.py:5"]),
        ({"tiny/low.py": LATE.format("", "  # few need it")}, ["import: low.py:5"]),
        ({"tiny/low.py": LATE.format("", "  # 12 ms that --help saves")}, []),
        ({"tiny/low.py": LATE.format("# 12 ms that --help saves.\n    ", "\n    import re")}, []),
        ({"tiny/low.py": DECODE.format("msgspec.json.decode(b'', type=list[One])")},
         ["decoder: low.py:6"]),
        ({"tiny/low.py": DECODE.format("msgspec.msgpack.Decoder(One)")}, ["decoder: low.py:6"]),
        ({"tiny/low.py": DECODE.format("msgspec.json.decode(b'', type=dict[str, Any])")}, []),
        ({"tests/other/test_x.py": ""}, ["tests: other mirrors no package"]),
        ({"tests/peers/test_x.py": ""}, []),
    ],
)  # fmt: skip
def test_each_fault_is_named(tmp_path: Path, files: dict[str, str], faults: list[str]) -> None:
    assert check(tmp_path, files) == (1 if faults else 0, faults)


def test_the_outline_has_the_first_sentence_of_every_module(tmp_path: Path) -> None:
    check(tmp_path, {})
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--outline", "tiny", "tests"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert [line.split() for line in done.stdout.splitlines()[:3]] == [
        ["low", "What", "is", "below."], ["up/"], ["high", "What", "is", "above."],
    ]  # fmt: skip


def test_no_script_hides_a_module_of_python() -> None:
    """A script's own folder comes first on the path: ``inspect.py`` there breaks dataclasses."""
    folders = (SCRIPT.parent, SCRIPT.parents[1] / "benchmarks")
    names = {path.stem for folder in folders for path in folder.glob("*.py")}
    assert len(names) > 10
    assert names & sys.stdlib_module_names == set()
