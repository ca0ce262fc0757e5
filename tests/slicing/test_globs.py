"""Paths become globs that other architectures and versions match, and no others of the package."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.debian.deb.path_globs import matches
from homeport.slicing.globs import globs_for


@pytest.mark.parametrize(
    ("path", "glob"),
    [
        (b"usr/bin/git", "/usr/bin/git"),
        (b"usr/lib/x86_64-linux-gnu/libz.so.1.3.1", "/usr/lib/*/libz.so.*"),
        (b"usr/lib/arm-linux-gnueabihf/libz.so.1", "/usr/lib/*/libz.so.*"),
        (b"usr/lib/x86_64-linux-gnu/libsystemd-shared-257.so", "/usr/lib/*/libsystemd-shared-*.so"),
        (b"usr/lib/python3/dist-packages/_cffi.cpython-313-x86_64-linux-gnu.so",
         "/usr/lib/python3/dist-packages/_cffi.cpython-*.so"),
        (b"usr/bin/[", "/usr/bin/?"),
    ],
)  # fmt: skip
def test_a_path_is_a_glob(path: bytes, glob: str) -> None:
    assert globs_for([path], [path, b"usr/share/doc/x/copyright"]) == (glob,)


def test_a_folder_of_the_package_is_taken_as_a_whole_if_all_of_it_is() -> None:
    own = [b"usr/share/app/a", b"usr/share/app/b/c", b"usr/bin/app"]
    assert globs_for(own, own) == ("/usr/bin/app", "/usr/share/app/**")
    assert globs_for(own[:1], own) == ("/usr/share/app/a",)
    assert globs_for(own[1:], own) == ("/usr/bin/app", "/usr/share/app/b/c")


_names = st.sampled_from([b"a", b"b", b"lib", b"x", b"share", b"usr", b"etc"])
_paths = st.lists(st.lists(_names, min_size=1, max_size=5).map(b"/".join), unique=True, max_size=8)


@given(_paths, st.data())
def test_globs_take_what_was_asked_for_and_nothing_else(
    all_paths: list[bytes], data: st.DataObject
) -> None:
    files = [path for path in all_paths if not any(o.startswith(path + b"/") for o in all_paths)]
    taken = {path for path in files if data.draw(st.booleans())}
    globs = globs_for(taken, files)
    found = {path for path in files if any(matches(each, path, directory=False) for each in globs)}
    assert found == taken
