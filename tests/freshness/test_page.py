"""The page of ``outdated --html``: what it shows, and that strangers' text stays text."""

from __future__ import annotations

import re
import stat
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from builders.freshness import FreshWorld, entry, package
from homeport.freshness.model import Change, Kind, OpenIssue, Report, Subject, Unknown
from homeport.freshness.report.page import outdated_page, page_of_id
from homeport.freshness.report.writing import OutdatedFiles, write_reports

NOW = datetime(2026, 1, 12, tzinfo=UTC)
PLATFORMS = ("linux/amd64", "linux/arm64")


class Seen(HTMLParser):
    """The elements, attributes and text of a page, as a browser's parser has them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.cells.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.cells).split())

    @property
    def addresses(self) -> list[str]:
        return [value for name, value in self.attributes if name == "href"]


def change(kind: Kind, name: str, new: str | None = "2", **more: Any) -> Change:
    values: dict[str, Any] = {"platforms": PLATFORMS, "security": kind == "security", **more}
    return Change(kind=kind, name=name, source=name, old="1", new=new, **values)


def subject(name: str, *changes: Change, **more: Any) -> Subject:
    recipe = "" if more.get("kind") == "image" else name
    values: dict[str, Any] = {"kind": "recipe", "wanted": recipe, "platforms": PLATFORMS, **more}
    return Subject(name=name, changes=changes, packages=3, **values)


def seen(*subjects: Subject) -> Seen:
    return Seen(outdated_page(Report(checked_at=NOW, subjects=subjects)))


def test_the_page_has_verdict_figures_and_security_first() -> None:
    ids = tuple(f"CVE-2026-100{n}" for n in range(5))
    page = seen(
        subject(
            "tool",
            change("update", "aaa"),
            change("security", "zlib", ids=ids, since=datetime(2026, 1, 9, tzinfo=UTC),
                   platforms=PLATFORMS[:1]),
            locked=datetime(2026, 1, 2, tzinfo=UTC),
        ),
        subject("registry.example/a:1", change("rebuild", "bbb"), kind="image"),
        subject("other", unknown=(Unknown(what="trixie", why="no index"),)),
    )  # fmt: skip
    text = page.text
    assert "1 security update is not locked" in text
    assert "2 packages are newer in the archive" in text
    assert "Not everything could be checked" in text
    for label, value in [
        ("subjects checked", "3"), ("security update", "1"), ("other updates", "2"),
        ("could not be checked in full", "1"), ("oldest age", "10 days"),
    ]:  # fmt: skip
        assert f"{label} {value} " in text
    table = text[text.index("Platforms tool") :]
    assert table.index("security zlib 1 2 CVE-2026-1000") < table.index("update aaa 1 2")
    assert "and 2 more" in table
    assert "2026-01-09 linux/amd64" in table
    assert "no index" in table
    # An image is not updated, and what has nothing newer has no command.
    assert re.findall(r"homeport update \S+", text) == ["homeport update tool"]
    assert [a for a in page.addresses if not a.startswith("#")] == [
        f"https://security-tracker.debian.org/tracker/{id}" for id in ids
    ]


def test_a_fresh_report_says_so_and_incomplete_ones_never_do() -> None:
    assert "Nothing is newer" in seen(subject("a")).text
    unknown = (Unknown(what="trixie", why="no index"),)
    assert "Nothing is newer" not in seen(subject("a", unknown=unknown)).text
    assert "Nothing is newer" not in seen(subject("a", broken_rules=("too old",))).text


HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)",
    "'; x", "{{ 7*7 }}", "</td></table><style>*{}</style>", "\x1b[31mred\u202e",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_strangers_are_text_and_never_markup(name: str) -> None:
    def page(text: str) -> Seen:
        one = change("security", text, text, ids=(text, f"CVE-2026-1234{text}"), suite=text,
                     note=text, part=text, urgency=text, platforms=(text,))  # fmt: skip
        issue = OpenIssue(id=text, source=text, version=text, status="open", fixed=text)
        unknown = (Unknown(what=text, why=text, platforms=(text,)),)
        both = [subject(text, one, open=(issue,), unknown=unknown, broken_rules=(text,), kind=kind)
                for kind in ("recipe", "image")]  # fmt: skip
        return seen(*both)

    hostile, plain = page(name), page("plain")
    # Each word of a command is a span.
    first, second = ([tag for tag in one.tags if tag != "span"] for one in (hostile, plain))
    assert first == second
    assert {n for n, _ in hostile.attributes} == {n for n, _ in plain.attributes}
    assert all(address.startswith("#") for address in hostile.addresses)
    assert "\x1b" not in hostile.text
    assert "\u202e" not in hostile.text


@pytest.mark.parametrize(
    ("id", "page"),
    [
        ("CVE-2026-1234", "https://security-tracker.debian.org/tracker/CVE-2026-1234"),
        ("GHSA-abcd-ef12-3456", "https://github.com/advisories/GHSA-abcd-ef12-3456"),
        ("CVE-2026-1234\n", ""), ("CVE-2026-1234/../x", ""), ("javascript:CVE-2026-1234", ""),
    ],
)  # fmt: skip
def test_only_whole_ids_become_addresses(id: str, page: str) -> None:
    assert page_of_id(id) == page


def test_a_command_is_one_word_of_a_shell() -> None:
    text = seen(subject("my dir; $(x)", change("update", "a"))).text
    assert "homeport update 'my dir; $(x)'" in text


def test_a_lockfile_without_a_recipe_has_no_command() -> None:
    text = seen(subject("alone", change("update", "a"), kind="lockfile", wanted="")).text
    assert "homeport update" not in text
    assert "No recipe is known for alone" in text


def test_the_file_loads_nothing_and_is_left_alone(tmp_path: Path) -> None:
    log = [entry("lib1", "1-2", "* Fix CVE-2026-1000."), entry("lib1", "1-1")]
    world = FreshWorld(tmp_path / "world", {"trixie": [package("lib1", "1-1", "amd64", log=log)]})
    world.lock_recipe("platforms: [linux/amd64]\npackages: [lib1]")
    world.move("trixie-security", [package("lib1", "1-2", "amd64", log=log)])
    file = tmp_path / "outdated.html"
    write_reports(world.outdated(), OutdatedFiles(html=file))
    page = file.read_text("utf-8")
    assert "default-src 'none'" in page
    assert "CVE-2026-1000" in Seen(page).text
    assert "homeport update recipe/homeport.yaml" in Seen(page).text
    assert "src" not in {name for name, _ in Seen(page).attributes}
    assert stat.S_ISREG(file.stat().st_mode)
    assert [each.name for each in tmp_path.iterdir() if each.name != "world"] == ["outdated.html"]
