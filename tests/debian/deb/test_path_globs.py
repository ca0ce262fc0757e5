"""Which paths a slice's globs mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.debian.deb.path_globs import (
    EVERYTHING,
    NOTHING,
    BadGlob,
    PathGlobs,
    check_glob,
    matches,
)


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("/usr/bin/python3", ["usr/bin/python3"], ["usr/bin/python3.13", "usr/bin/python3/"]),
        ("/usr/lib/*/libc.so.6", ["usr/lib/x86_64-linux-gnu/libc.so.6"], ["usr/lib/libc.so.6"]),
        ("/usr/lib/*.so*", ["usr/lib/a.so", "usr/lib/a.so.1"], ["usr/lib/x/a.so", "usr/lib/a.so/"]),
        ("/usr/lib/?.so", ["usr/lib/a.so"], ["usr/lib/ab.so", "usr/lib//.so"]),
        ("/usr/share/**", ["usr/share/a", "usr/share/a/b", "usr/share/a/"], ["usr/share/", "usr"]),
        ("/usr/**/x.py", ["usr/lib/x.py", "usr/lib/a/b/x.py"], ["usr/x.py"]),
        ("/usr/lib**", ["usr/lib", "usr/lib64/x", "usr/lib/", "usr/lib/a/"], ["usr/share"]),
        ("/var/tmp/", ["var/tmp/"], ["var/tmp", "var/tmp/x"]),
        ("/usr/*", ["usr/bin"], ["usr/", "usr/bin/"]),
        ("/usr/**/*", ["usr/a/b"], ["usr/", "usr/a/", "usr/a"]),
        ("/etc/*/", ["etc/ssl/"], ["etc/ssl", "etc/ssl/certs/"]),
        ("/a.b+c/[x]", ["a.b+c/[x]"], ["aXb+c/x"]),
        ("/caf?", [], ["café"]),
        ("/caf??", ["café"], []),
        ("/café", ["café"], []),
    ],
)
def test_a_glob_means_these_paths_and_not_those(glob: str, yes: list[str], no: list[str]) -> None:
    found = [
        path
        for path in yes + no
        if matches(glob, path.rstrip("/").encode(), directory=path.endswith("/"))
    ]
    assert found == yes


@pytest.mark.parametrize(
    "glob", ["usr", "", "/usr//bin", "/usr/../etc", "/./usr", "/***", "/" + "a" * 5000, "/a\0"]
)
def test_a_glob_that_can_mean_nothing_is_refused(glob: str) -> None:
    with pytest.raises(BadGlob):
        check_glob(glob)


paths = st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=4).map(b"/".join)


@given(paths, st.booleans())
def test_everything_is_everything_and_nothing_is_nothing(path: bytes, directory: bool) -> None:
    assert EVERYTHING.match(path, directory=directory)
    assert not NOTHING.match(path, directory=directory)


@given(st.lists(st.sampled_from(["/a", "/a/", "/a/*", "/**b", "/?/b"])), paths, st.booleans())
def test_several_globs_mean_what_each_means(globs: list[str], path: bytes, directory: bool) -> None:
    together = PathGlobs.of(globs).match(path, directory=directory)
    assert together == any(matches(glob, path, directory=directory) for glob in globs)


def test_the_order_in_which_globs_are_given_does_not_matter() -> None:
    assert PathGlobs.of(["/b", "/a", "/b"]) == PathGlobs.of(["/a", "/b"])
