"""``homeport docs``: pages by their names, and man pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from homeport.cli.main import COMMANDS, run

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("topic", "file"),
    [
        ("guide", "guide.md"),
        ("recipe", "formats/recipe.md"),
        ("formats/recipe.md", "formats/recipe.md"),
        ("catalog", "catalog/README.md"),
        ("formats", "formats/README.md"),
        ("formats/registry", "formats/registry.md"),
    ],
)
def test_a_page_is_found_by_its_path_or_its_last_part(
    topic: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["docs", topic]) == 0
    assert capsys.readouterr().out == (DOCS / file).read_text().rstrip("\n") + "\n"


def test_topics_are_listed_and_one_that_is_none_has_a_near_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["docs", "-q"]) == 0
    assert {"guide", "formats/recipe", "findings"} < set(capsys.readouterr().out.split())
    assert run(["docs", "gude"]) == 2
    assert "hint: homeport docs guide" in capsys.readouterr().err
    assert run(["docs", "../README"]) == 2
    assert run(["docs", "guide", "--url"]) == 0
    assert capsys.readouterr().out.endswith("/docs/guide.md\n")


def test_every_command_has_a_man_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["docs", "--man", str(tmp_path / "man1"), "--format", "json"]) == 0
    written = set(json.loads(capsys.readouterr().out)["pages"])
    assert {f"homeport-{name}.1" for name in COMMANDS} | {"homeport.1"} < written
    assert "homeport-catalog-slices.1" in written
    page = (tmp_path / "man1/homeport-build.1").read_text()
    assert page.startswith('.TH "HOMEPORT-BUILD" "1"')
    assert ".SH NAME\nhomeport\\-build \\- Build the image of each RECIPE" in page
    assert "\\fB\\-\\-platform PLATFORM[,...]\\fR" in page
    assert run(["docs", "guide", "--man", "x"]) == 2


def test_every_page_that_a_hint_names_is_there() -> None:
    sources = Path(__file__).parents[2] / "src/homeport"
    named = {
        topic
        for path in sources.rglob("*.py")
        for topic in re.findall(r"docs_page\([\"']([\w/-]+)", path.read_text())
    }
    assert named >= {"formats/recipe", "findings"}
    assert [topic for topic in named if run(["docs", topic, "-q"]) != 0] == []
