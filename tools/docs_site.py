"""Hooks of mkdocs: links that leave ``docs`` lead to the repository.

Pages are written to be read in the repository, where ``../examples`` and ``../src/…`` are files.
A link to a file that the repository does not have is a warning, which ``mkdocs build --strict``
makes an error.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(\]\()(?P<target>[^)\s#|]+)(?P<rest>[^)|]*\))")
_REPOSITORY = "https://github.com/homeport-project/homeport/blob/main/"
log = logging.getLogger("mkdocs.hooks.docs_site")


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """The text of a page as mkdocs is to read it."""
    folder = posixpath.dirname(page.file.src_uri)

    def outside(found: re.Match[str]) -> str:
        target = found["target"]
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join("docs", folder, target))
        inside = path.startswith("docs/") and path.endswith(_PAGES)
        if inside:
            return found[0]
        if not (_ROOT / path).exists():
            log.warning("%s: broken link %s", page.file.src_uri, target)
        if (_ROOT / path).is_dir() and (_ROOT / path / "README.md").is_file() and "docs/" in path:
            return f"{found[1]}{target.rstrip('/')}/README.md{found['rest']}"
        return f"{found[1]}{_REPOSITORY}{path}{found['rest']}"

    return _LINK.sub(outside, markdown)


def on_post_page(output: str, page: Any, **_more: Any) -> str:
    """A page must not load anything from another host."""
    for found in _LOADED.finditer(output):
        log.warning("%s: loads %s", page.file.src_uri, found["url"])
    return output


_LOADED = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?(?P<url>https?:[^\" >]+)")
_PAGES = (".md", ".png", ".svg", ".jpg")
