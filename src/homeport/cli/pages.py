"""The pages of the documentation that an installed Homeport has, or those of a checkout."""

from __future__ import annotations

import difflib
from pathlib import Path

import msgspec

import homeport
from homeport.errors import HomeportError, UsageError

_URL = "https://github.com/homeport-project/homeport/blob/main/docs/"
_FOLDER_PAGE = "README"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page. ``topic``: its path without ``.md``; a folder's own page has the folder's name."""

    topic: str
    title: str
    url: str
    path: Path

    def text(self) -> str:
        """The page as it is written, in Markdown."""
        return self.path.read_text(encoding="utf-8")


class NoPages(HomeportError):
    """This installation has no documentation."""

    id = "no-docs"


def all_pages() -> tuple[Page, ...]:
    """Every page, sorted by topic. Raises ``NoPages``."""
    root = _root()
    return tuple(
        sorted((_page(path, root) for path in root.rglob("*.md")), key=lambda page: page.topic)
    )


def find_page(topic: str) -> Page:
    """The page of a topic, or the only one whose last part is ``topic``. Raises ``UsageError``."""
    pages = {page.topic: page for page in all_pages()}
    wanted = topic.strip("/").removesuffix(".md").removesuffix(f"/{_FOLDER_PAGE}")
    if wanted in pages:
        return pages[wanted]
    found = [name for name in pages if name.rpartition("/")[2] == wanted]
    if len(found) == 1:
        return pages[found[0]]
    near = found or difflib.get_close_matches(wanted, pages, n=3)
    raise UsageError(
        f"no page {topic!r}" if not found else f"several pages are called {topic!r}",
        hint=f"homeport docs {near[0]}" if near else "homeport docs",
    )


def _root() -> Path:
    package = Path(homeport.__file__).parent
    for root in (package / "docs", package.parents[1] / "docs"):
        if (root / "guide.md").is_file():
            return root
    raise NoPages("this installation has no documentation", hint=f"it is at {_URL}")


def _page(path: Path, root: Path) -> Page:
    name = path.relative_to(root).with_suffix("").as_posix()
    with path.open(encoding="utf-8") as stream:
        title = next((line for line in stream if line.startswith("# ")), name)
    topic = name.removesuffix(f"/{_FOLDER_PAGE}")
    return Page(topic=topic, title=title.lstrip("# ").strip(), url=f"{_URL}{name}.md", path=path)
