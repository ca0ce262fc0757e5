"""Globs of ``inspect --path`` and ``extract`` mean what expressions with backtracking mean."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.inspection.image import path_globs
from homeport.inspection.image.path_globs import Glob

PATTERNS = st.lists(
    st.sampled_from(
        [b"*", b"**", b"**/", b"?", b"/", b"a", b"b", b"[ab]", b"[!a]", b"[a-c]", b"["]
    ),
    max_size=7,
).map(b"".join)
PATHS = st.lists(st.sampled_from([b"a", b"b", b"c", b"/", b"]"]), max_size=8).map(b"".join)


@given(PATTERNS, st.lists(PATHS, max_size=5))
def test_a_glob_means_what_an_expression_with_backtracking_means(
    pattern: bytes, paths: list[bytes]
) -> None:
    glob, expected = Glob(pattern), re.compile(expression(pattern), re.DOTALL)
    for path in paths:
        assert glob.matches(path) == (expected.fullmatch(path) is not None)


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_globs, "_MAX_SETS", 4)
    glob = Glob(b"*a????b")
    for number in range(64):
        path = bytes(b"ab"[number >> bit & 1] for bit in range(6))
        assert glob.matches(path) == (path[0:1] == b"a" and path[5:6] == b"b")
        assert len(glob._sets) <= 5


def expression(pattern: bytes) -> bytes:
    out, at = b"", 0
    while at < len(pattern):
        close = pattern.find(b"]", at + 2)
        if pattern.startswith(b"**/", at):
            out, at = out + rb"(?:[^/]+/)*", at + 3
        elif pattern.startswith(b"**", at):
            out, at = out + rb".*", at + 2
        elif pattern[at : at + 1] == b"[" and close > 0:
            inner = pattern[at + 1 : close].replace(b"[", rb"\[")
            inner = b"^" + inner[1:] if inner.startswith(b"!") else inner
            out, at = out + b"[" + inner + b"]", close + 1
        else:
            char = pattern[at : at + 1]
            known = {b"*": rb"[^/]*", b"?": rb"[^/]"}
            out, at = out + known.get(char, re.escape(char)), at + 1
    return out
