"""The page of differences from apt is made from its table, and this fails while it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from make_differences_page import PAGE, TABLE, page  # noqa: E402  after the path to tools


def test_the_page_is_what_the_table_says() -> None:
    rows = yaml.safe_load(TABLE.read_text())
    assert PAGE.read_text() == page(rows), "run python tools/make_differences_page.py"
    assert all(row["why"] for row in rows)
