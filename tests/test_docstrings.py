"""What docstrings, comments and docs point to exists: modules, their names, and files."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "tests").rglob("*.py"))]
PAGES = [
    *sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "tests").glob("*.md")), ROOT / "benchmarks/README.md",
]  # fmt: skip
#: ``homeport.x.y`` between backticks, one or two, or ``x.y`` with x one of its packages.
_PACKAGES = sorted(path.name for path in (ROOT / "src/homeport").iterdir() if path.is_dir())
_NAME = re.compile(r"(?<![`\w/.])`{1,2}(homeport(?:\.[A-Za-z_]\w*)+)(?:\(\))?`")
_SHORT = re.compile(rf"(?<![`\w/.])`{{1,2}}((?:{'|'.join(_PACKAGES)})(?:\.[a-z_]\w*)+)(?:\(\))?`")
_LINK = re.compile(r"\]\(([\w./:#-]+)\)")
_OWN_PATH = re.compile(r"(?<![\w/.-])((?:docs|tests|tools|benchmarks|examples|src)/[\w./-]+\.\w+)")
#: Names of the same shape that are no modules: files, labels, annotations.
_OTHER = re.compile(
    r"homeport\.(yaml|lock|toml|schema\.json|service|timer|cron)|homeport\.\w+\.py$"
)
#: Names of other programs, files (`app.oci`) and values (`app.runtime`) that look like ours.
_FOREIGN = {
    "homeport.oci.pull", "homeport.dockerfile.v0", "homeport.x.y", "homeport.app.oci",
    "homeport.app.runtime",
}  # fmt: skip


def named() -> Iterator[tuple[str, str]]:
    for path in [*SOURCES, *PAGES]:
        text = path.read_text()
        for name in [*_NAME.findall(text), *(f"homeport.{each}" for each in _SHORT.findall(text))]:
            if not _OTHER.match(name) and name not in _FOREIGN:
                yield name, str(path.relative_to(ROOT))


def exists(name: str) -> bool:
    """Whether ``name`` is a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        module = ".".join(parts[:count])
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            continue
        if found is None:
            continue
        value: object = importlib.import_module(module)
        for attribute in parts[count:]:
            if not hasattr(value, attribute):
                return False
            value = getattr(value, attribute)
        return True
    return False


def test_every_module_that_is_named_exists() -> None:
    found = list(named())
    assert len(found) > 20
    assert sorted({f"{place}: {name}" for name, place in found if not exists(name)}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = [
        link.partition("#")[0]
        for link in _LINK.findall(page.read_text())
        if "://" not in link and not link.startswith(("#", "mailto:"))
    ]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_anchor_of_a_link_is_a_heading(page: Path) -> None:
    wrong = []
    for link in _LINK.findall(page.read_text()):
        file, hash_mark, anchor = link.partition("#")
        target = page.parent / file if file else page
        if "://" in link or not hash_mark or target.suffix != ".md" or not target.is_file():
            continue
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        if anchor not in {_anchor(heading) for heading in headings}:
            wrong.append(link)
    assert wrong == []


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_file_of_ours_that_is_named_exists() -> None:
    """Pages and docstrings say ``docs/x.md``, ``tests/y.py`` and the like."""
    wrong = set()
    for path in [*SOURCES, *PAGES]:
        if path.is_relative_to(ROOT / "docs/findings"):
            continue  # these name files of other projects
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        for file in _OWN_PATH.findall(text):
            if not (ROOT / file).exists() and not _is_example(path):
                wrong.add(f"{path.relative_to(ROOT)}: {file}")
    assert sorted(wrong) == []


def _is_example(path: Path) -> bool:
    """Tests make files of their own; only docstrings of the program and pages are held to it."""
    return path.is_relative_to(ROOT / "tests") and path.suffix == ".py"
