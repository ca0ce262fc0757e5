"""The kinds of patterns are told apart as docs/formats/globs.md says."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

import pytest

from homeport.copying import patterns
from homeport.debian.deb.path_globs import matches
from homeport.inspection.image.path_search import matcher

KINDS: dict[str, Callable[[str, str], bool]] = {
    "copy": lambda pattern, path: patterns.matches(pattern.encode(), path.encode()),
    "slice": lambda pattern, path: matches(f"/{pattern}", path.encode(), directory=False),
    "inspect": lambda pattern, path: matcher(pattern.encode())(path.encode()),
    "text": lambda pattern, path: fnmatch.fnmatchcase(path, pattern),
}


@pytest.mark.parametrize(
    ("pattern", "path", "kinds"),
    [
        ("a/*", "a/b", "copy slice inspect text"),
        ("a/*", "a/b/c", "text"),
        ("a/**", "a/b/c", "slice inspect text"),
        ("a/**/c", "a/c", "inspect"),
        ("*.py", "a/b.py", "inspect text"),
        ("a", "a/b", "inspect"),
        ("a/[bc]", "a/b", "copy inspect text"),
        ("a/[bc]", "a/[bc]", "slice"),
        ("a/[^b]", "a/c", "copy inspect"),
        ("a/[!b]", "a/c", "inspect text"),
        ("a/[b-d]", "a/c", "copy inspect text"),
        (r"a/\*", "a/*", "copy"),
        ("a/[*]", "a/*", "copy inspect text"),
    ],
)
def test_each_kind_reads_a_pattern_as_documented(pattern: str, path: str, kinds: str) -> None:
    assert " ".join(kind for kind, match in KINDS.items() if match(pattern, path)) == kinds
