"""Layers stacked, and layers made from differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.tree import directory, file, hardlink, symlink, tree
from homeport.tree.node import Node, Tree
from homeport.tree.stacking import BadLayer, diff, stack

D = directory()


def shape(nodes: Tree) -> dict[str, str]:
    """``path: type, or content or target``."""
    out = {}
    for path, found in nodes.items():
        if found.type == "file":
            said = getattr(found.content, "data", b"").decode()
        else:
            said = found.target.decode() or found.type
        out[path.decode()] = said
    return out


@pytest.mark.parametrize(
    ("summary", "lower", "upper", "result"),
    [
        (
            "a file of a higher layer replaces that of a lower",
            {"f": file(b"old")},
            {"f": file(b"new")},
            {"f": "new"},
        ),
        (
            "a directory keeps its content when a higher layer names it again",
            {"d": directory(0o700), "d/f": file(b"1")},
            {"d": D},
            {"d": "directory", "d/f": "1"},
        ),
        (
            "a file in place of a directory removes what was below",
            {"d": D, "d/f": file(b"1")},
            {"d": file(b"2")},
            {"d": "2"},
        ),
        (
            "a whiteout removes a name with everything below it",
            {"d": D, "d/e": D, "d/e/f": file(), "d/g": file(b"1")},
            {"d": D, "d/.wh.e": file()},
            {"d": "directory", "d/g": "1"},
        ),
        (
            "an opaque directory hides what is below and keeps what its own layer adds",
            {"d": D, "d/old": file(), "d/e": D, "d/e/f": file()},
            {"d": D, "d/.wh..wh..opq": file(), "d/a": file(b"1"), "d/z": file(b"2")},
            {"d": "directory", "d/a": "1", "d/z": "2"},
        ),
        (
            "a whiteout does not touch its own layer",
            {"f": file(b"old")},
            {".wh.f": file(), "f": file(b"new")},
            {"f": "new"},
        ),
        (
            "a whiteout of what is not there means nothing",
            {"f": file(b"1")},
            {".wh.g": file(), "no/.wh.h": file()},
            {"f": "1"},
        ),
        (
            "other markers of aufs mean nothing",
            {"f": file(b"1")},
            {".wh..wh.plnk": D},
            {"f": "1"},
        ),
        (
            "a path below a link lands where the link leads",
            {"usr/lib": D, "lib": symlink(b"usr/lib")},
            {"lib/x": file(b"1"), "lib/.wh.y": file()},
            {"lib": "usr/lib", "usr": "directory", "usr/lib": "directory", "usr/lib/x": "1"},
        ),
        (
            "a link that climbs stays in the root",
            {"up": symlink(b"../../../etc"), "etc": D},
            {"up/f": file(b"1")},
            {"etc": "directory", "etc/f": "1", "up": "../../../etc"},
        ),
        (
            "missing parents are made",
            {},
            {"a/b/c": file(b"1")},
            {"a": "directory", "a/b": "directory", "a/b/c": "1"},
        ),
        (
            "another name of a removed file keeps its content",
            {"a": file(b"body"), "b": hardlink(b"a"), "c": hardlink(b"b")},
            {".wh.a": file()},
            {"b": "body", "c": "b"},
        ),
        (
            "a hard link to a file of a lower layer",
            {"a": file(b"body")},
            {"b": hardlink(b"a")},
            {"a": "body", "b": "a"},
        ),
    ],
)
def test_stacking(summary: str, lower, upper, result) -> None:
    assert shape(stack([tree(lower), tree(upper)])) == result


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ({"a": symlink(b"b"), "b": symlink(b"a"), "b/f": file()}, "circle"),
        ({"f": file(), "f/g": file()}, "no directory"),
        ({"h": hardlink(b"nothing")}, "points to no file"),
    ],
)
def test_layers_that_no_engine_could_unpack_are_refused(nodes, says: str) -> None:
    with pytest.raises(BadLayer, match=says):
        stack([tree(nodes)])


def test_a_difference_names_what_changed_its_parents_and_what_is_gone() -> None:
    lower = tree({"d": D, "d/e": D, "d/e/old": file(), "d/same": file(b"1"), "x": D, "x/y": file()})
    upper = tree({"d": D, "d/e": D, "d/e/new": file(b"2"), "d/same": file(b"1")})
    assert shape(diff(lower, upper)) == {
        ".wh.x": "",
        "d": "directory",
        "d/e": "directory",
        "d/e/.wh.old": "",
        "d/e/new": "2",
    }


def test_a_change_of_rights_alone_is_a_difference() -> None:
    assert shape(diff(tree({"f": file(b"1")}), tree({"f": file(b"1", 0o600)}))) == {"f": "1"}
    assert not diff(tree({"f": file(b"1")}), tree({"f": file(b"1")}))


leaves = st.one_of(
    st.builds(file, st.sampled_from([b"", b"1", b"2"]), st.sampled_from([0o644, 0o755])),
    st.builds(symlink, st.just(b"nowhere")),
)
NAMES = ("a", "b", "c")


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    nodes: dict[str | bytes, Node] = {}

    def fill(prefix: str, depth: int) -> None:
        for name in NAMES:
            kind = draw(st.integers(0, 3))
            if kind == 1:
                nodes[prefix + name] = draw(leaves)
            elif kind >= 2 and depth < 2:
                nodes[prefix + name] = directory(draw(st.sampled_from([0o755, 0o700])))
                fill(f"{prefix}{name}/", depth + 1)

    fill("", 0)
    return tree(nodes)


@given(lower=trees(), upper=trees())
def test_a_difference_stacked_on_the_lower_tree_is_the_upper_tree(lower: Tree, upper: Tree) -> None:
    found = stack([lower, diff(lower, upper)])
    assert {p: (n.type, n.mode, n.target, n.size) for p, n in found.items()} == {
        p: (n.type, n.mode, n.target, n.size) for p, n in upper.items()
    }
    assert shape(found) == shape(upper)


def test_a_hard_link_may_sort_before_its_file_and_before_other_links_to_it() -> None:
    layer = tree({"a": hardlink(b"b"), "b": hardlink(b"c"), "c": hardlink(b"d"), "d": file(b"x")})
    found = stack([layer])
    assert {path: (node.type, node.target) for path, node in found.items()} == {
        b"a": ("hardlink", b"d"),
        b"b": ("hardlink", b"d"),
        b"c": ("hardlink", b"d"),
        b"d": ("file", b""),
    }


def test_hard_links_in_a_circle_are_refused() -> None:
    with pytest.raises(BadLayer):
        stack([tree({"a": hardlink(b"b"), "b": hardlink(b"a")})])


def test_a_hard_link_of_a_layer_is_to_the_file_that_this_layer_brings() -> None:
    lower = tree({"b": file(b"old")})
    upper = tree({"a": hardlink(b"b"), "b": file(b"new")})
    found = stack([lower, upper])
    assert found[b"a"].target == b"b"
    assert found[b"b"].size == 3
    assert found[b"b"].content is not None
    with found[b"b"].content.open() as stream:
        assert stream.read() == b"new"
