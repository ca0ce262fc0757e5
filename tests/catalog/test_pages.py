"""docs/catalog says what the recipes say."""

from __future__ import annotations

from make_catalog_pages import PAGES, pages


def test_the_pages_are_those_of_todays_recipes() -> None:
    """Else run tools/make_catalog_pages.py."""
    assert {path.name: path.read_text() for path in PAGES.glob("*.md")} == pages()
