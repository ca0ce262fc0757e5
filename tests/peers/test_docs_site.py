"""The documentation as a site; mkdocs is of PyPI, in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mkdocs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = shutil.which("mkdocs") or shutil.which("mkdocs", path=str(Path(sys.executable).parent))
    if found:
        return Path(found)
    home = tmp_path_factory.mktemp("mkdocs")
    venv.create(home, with_pip=True)
    settings = (ROOT / "pyproject.toml").read_text()
    wanted = re.search(r'"(mkdocs-material[^"]+)"', settings)
    assert wanted
    subprocess.run([home / "bin/pip", "install", "--quiet", wanted[1]], check=True)
    return home / "bin/mkdocs"


def build(mkdocs: Path, root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [mkdocs, "build", "--site-dir", site], cwd=root, text=True, capture_output=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=False,
    )  # fmt: skip


@pytest.mark.network
def test_the_site_is_built_and_asks_no_other_host(mkdocs: Path, tmp_path: Path) -> None:
    done = build(mkdocs, ROOT, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 200
    assert (tmp_path / "site/search/search_index.json").stat().st_size > 100_000
    loaded = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?https?:|url\(https?:")
    assert [page for page in pages if loaded.search(page.read_text())] == []


@pytest.mark.network
@pytest.mark.parametrize("link", ["nowhere.md", "guide.md#nowhere", "../nowhere.txt"])
def test_a_broken_link_fails_the_build(link: str, mkdocs: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/docs_site.py", tmp_path / "tools")
    settings = (ROOT / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(settings.partition("nav:\n")[0])
    (tmp_path / "docs/guide.md").write_text("# Guide\n\n[good](index.md#here)\n")
    index = tmp_path / "docs/index.md"
    index.write_text("# Here\n\n[good](guide.md)\n")
    assert build(mkdocs, tmp_path, tmp_path / "site").returncode == 0
    index.write_text(f"# Here\n\n[bad]({link})\n")
    assert build(mkdocs, tmp_path, tmp_path / "site").returncode != 0
