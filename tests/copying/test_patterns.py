"""Laws of wildcards, ignore patterns and modes; the recorded answers have the details."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from builders.copying import failure_of
from homeport.copying import modes
from homeport.copying.automaton import MOST_SETS, Automaton
from homeport.copying.errors import CopyError
from homeport.copying.ignore import Ignore, read
from homeport.copying.patterns import Pattern, has_wildcard, matches, unescaped

signs = st.text("ab*?[]^-\\/!.é", max_size=12).map(str.encode)
paths = st.text("ab/.é^-", min_size=1, max_size=10).map(str.encode)


@given(signs, paths)
def test_any_pattern_is_matched_or_is_our_error(pattern: bytes, name: bytes) -> None:
    error = failure_of(lambda: matches(pattern, name))
    assert error is None or error.what == "syntax error in pattern"


@given(st.binary(max_size=12))
def test_a_quoted_name_matches_itself_alone(name: bytes) -> None:
    quoted = b"".join(b"\\" + bytes([byte]) if byte in b"*?[\\" else bytes([byte]) for byte in name)
    assert matches(quoted, name)
    assert not matches(quoted, name + b"x")
    assert unescaped(quoted) == name
    assert not has_wildcard(quoted)


@given(st.text("ab", max_size=8), st.text("ab*", max_size=8))
def test_a_star_is_any_run_of_what_is_no_slash(name: str, pattern: str) -> None:
    import re

    expected = re.fullmatch(pattern.replace("*", ".*"), name) is not None
    assert matches(pattern.encode(), name.encode()) is expected


@given(st.lists(signs, max_size=5), paths)
def test_any_ignore_pattern_is_matched_or_is_our_error(patterns: list[bytes], path: bytes) -> None:
    for use in (lambda: Ignore(patterns).matches(path), lambda: Ignore(patterns).step(path, None)):
        error = failure_of(use)
        assert error is None or "pattern" in error.what


@given(st.binary(max_size=200))
def test_any_ignore_file_is_read_and_reading_it_again_changes_nothing(data: bytes) -> None:
    patterns = read(data)
    # As in Go, a blank before a final slash stays where the slash is cut off.
    assume(
        all(pattern.decode("latin-1").strip() == pattern.decode("latin-1") for pattern in patterns)
    )
    assume(b"!" not in b"".join(patterns))
    again = read(b"\n".join(b" " + pattern for pattern in patterns))
    assert [p for p in again if p] == [p for p in patterns if p]


@given(st.lists(st.text("ab*", min_size=1, max_size=6).map(str.encode), max_size=4), paths)
def test_what_is_ignored_stays_so_when_a_pattern_is_repeated(
    patterns: list[bytes], path: bytes
) -> None:
    assert Ignore(patterns).matches(path) == Ignore(patterns * 2).matches(path)


def test_a_pattern_of_many_stars_takes_no_long_time() -> None:
    path = b"/".join([b"a" * 20] * 20)
    assert not Ignore([b"**/a*/" * 20 + b"b"]).matches(path)


@pytest.mark.parametrize(
    "pattern", [b"**/" * 40 + b"b", b"*a" * 40 + b"b", b"[a-z]*" * 40 + b"0", b"?" * 90 + b"*b"]
)
def test_what_follows_in_a_pattern_is_worked_out_once_for_all_paths(pattern: bytes) -> None:
    def spent(paths: int) -> int:
        costs: list[int] = []
        ignore = Ignore([pattern], costs.append)
        for number in range(paths):
            ignore.step(b"d/" + b"a" * 200 + b"%d" % (number % 10), None)
        return sum(costs) - paths

    assert spent(100) == spent(10)


def test_what_is_remembered_of_a_pattern_has_a_bound() -> None:
    """A class before many single characters has a set of states for each text of that length."""
    automaton = Automaton(list(b"^.*a" + b"." * 20))
    for number in range(3 * MOST_SETS):
        automaton.matches(f"{number:012b}".replace("0", "a").replace("1", "b").encode() * 2)
    assert len(automaton._sets) <= MOST_SETS
    assert automaton.matches(b"bbb" + b"a" + b"c" * 20)
    assert not automaton.matches(b"bbb" + b"a" + b"c" * 21)


def test_a_line_that_is_too_long_is_named() -> None:
    with pytest.raises(CopyError) as caught:
        read(b"ok\n" + b"x" * 70_000, "app.dockerignore")
    assert caught.value.where == {"file": "app.dockerignore", "line": 2}


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("foo", "foo/bar", True),
        ("foo", "a/foo", False),
        ("*.go", "a/b.go", False),
        ("**/*.go", "b.go", True),
        ("**foo", "a/xfoo", True),
        ("foo/**", "foo", False),
        ("foo**", "foobar", True),
        ("a/**/b", "a/b", True),
        ("a**b", "axb", False),
        ("[^a]", "b", True),
        ("a^b*", "a^bc", False),
        ("a$*", "a$b", True),
        ("\\!foo", "!foo", True),
        (".", "x", False),
    ],
)
def test_ignore_patterns_by_example(pattern: str, path: str, ignored: bool) -> None:
    assert Ignore([pattern.encode()]).matches(path.encode()) is ignored


@given(st.text("ugoa+-=rwxXst,", max_size=10), st.integers(0, 0o7777), st.booleans())
def test_any_symbolic_mode_gives_a_mode_or_is_our_error(
    text: str, before: int, directory: bool
) -> None:
    found: list[int] = []
    error = failure_of(lambda: found.append(modes.parse(text)(before, directory)))
    assert error.where == {"option": "--chmod"} if error else 0 <= found[0] <= 0o7777


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("go-w", 0o666, 0o644), ("g=u", 0o750, 0o770), ("+x", 0o600, 0o711),
        ("a+X", 0o644, 0o644), ("a+X", 0o744, 0o755), ("=r", 0o777, 0o444),
        ("u=rwX,go=rX", 0o640, 0o644), ("go=u-w", 0o640, 0o644), ("u=rwx", 0o6755, 0o2755),
        ("a=", 0o7777, 0o1000), ("u+s", 0o755, 0o4755), ("o+s", 0o755, 0o755),
        ("+t", 0o755, 0o1755), ("u=rw+x", 0o000, 0o700), ("a-x,+X", 0o755, 0o755),
        ("g=u,o=g", 0o740, 0o777), ("+", 0o123, 0o123), ("644", 0o777, 0o644),
    ],
)  # fmt: skip
def test_modes_by_example(text: str, before: int, after: int) -> None:
    assert modes.parse(text)(before, False) == after


@pytest.mark.parametrize("text", ["u", "u=,", ",u=r", "u+q", "+644", "8", "64a", "0o644", "10000"])
def test_what_is_no_mode_is_refused(text: str) -> None:
    with pytest.raises(CopyError, match="invalid mode"):
        modes.parse(text)


def test_a_compiled_pattern_can_be_used_again() -> None:
    pattern = Pattern(b"*.t")
    assert [pattern.matches(name) for name in (b"a.t", b"a/b.t", b".t")] == [True, False, True]


def test_an_ignore_pattern_may_hold_any_character() -> None:
    """Found by fuzzing: a character beyond U+00FF ended the build with a traceback."""
    patterns = Ignore(read("документ*\nа.о\n日本/**/x\n".encode()))
    assert patterns.matches("документы".encode())
    assert patterns.matches("а.о".encode())
    assert patterns.matches("日本/a/b/x".encode())
    assert not patterns.matches("аxо".encode())
