"""The bytecode in the image is of the sources beside it, and of nothing older.

The interpreter believes these files without looking at the source (PEP 552), so a stale one
would run old code. ``tools/make_bytecode.py`` makes them; ``tests/peers/test_bytecode.py``
makes them again with the image's own interpreter and compares bytes.
"""

from __future__ import annotations

import _imp
from pathlib import Path

import pytest

import homeport

SOURCES = Path(homeport.__file__).parent / "copying"
BYTECODE = SOURCES.parent / "catalog/dockerfile-copy/bytecode"
MAGIC = (3571).to_bytes(2, "little") + b"\r\n"  # of CPython 3.13
UNCHECKED = 1  # PEP 552: made from a hash, which is not to be compared


def test_every_source_has_its_bytecode_and_no_bytecode_is_left_over() -> None:
    sources = {f"{path.stem}.cpython-313.pyc" for path in SOURCES.glob("*.py")}
    assert {path.name for path in BYTECODE.iterdir()} == sources


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_bytecode_is_of_the_source_as_it_is(source: Path) -> None:
    header = (BYTECODE / f"{source.stem}.cpython-313.pyc").read_bytes()[:16]
    digest = _imp.source_hash(int.from_bytes(MAGIC, "little"), source.read_bytes())

    assert header == MAGIC + UNCHECKED.to_bytes(4, "little") + digest, "run tools/make_bytecode.py"
