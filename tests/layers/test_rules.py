"""How layers are stacked, rule by rule (docs/formats/layer.md, "Stacking"), as whole results.

Every case is a list of layers and all files that are left, as a container sees them.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.inspection import (
    Member,
    directory,
    file,
    hardlink,
    history,
    layer,
    member,
    opaque,
    symlink,
    tar,
    whiteout,
)  # fmt: skip
from builders.random_layers import NAMES, TARGETS, State, state
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.layers.entry import BadArchive
from homeport.layers.history import History
from homeport.layers.overlay import unpack
from homeport.layers.trees import read_layers, read_tree
from homeport.progress import CancelToken
from homeport.tree.node import Source

Layers = list[list[Member]]


def final(layers: Layers, folder: Path) -> State:
    return state(read_layers([BytesBlob(tar(*one)) for one in layers], Store(folder),
                             CancelToken()), "")  # fmt: skip


def shape(layers: Layers, folder: Path) -> dict[str, str]:
    """``path: content, target or type``; ``=`` and the names of a file that has several."""
    found = {}
    for path, (kind, _, _, _, what, names) in final(layers, folder).items():
        text = what.decode() if isinstance(what, bytes) else what
        found[path] = f"{text if isinstance(text, str) and text else kind}" + (
            " = " + " ".join(names) if isinstance(names, list) and names else ""
        )
    return found


D = directory("d")
RULES: dict[str, tuple[Layers, dict[str, str]]] = {
    "a hard link keeps the content of a file that is replaced later": (
        [[file("a", b"one"), hardlink("b", "a"), file("a", b"two")]],
        {"a": "two", "b": "one"},
    ),
    "a hard link to a file that was replaced before gets the new content": (
        [[file("a", b"one"), file("a", b"two"), hardlink("b", "a")]],
        {"a": "two = a b", "b": "two = a b"},
    ),
    "a hard link of a higher layer is to the file of a lower one": (
        [[file("a", b"one")], [hardlink("b", "a")]],
        {"a": "one = a b", "b": "one = a b"},
    ),
    "a hard link of a higher layer keeps the lower content when its file is replaced after it": (
        [[file("a", b"one")], [hardlink("b", "a"), file("a", b"two")]],
        {"a": "two", "b": "one"},
    ),
    "other names of a file stay one file when the first is removed": (
        [[file("a", b"body"), hardlink("b", "a"), hardlink("c", "b")], [whiteout("a")]],
        {"b": "body = b c", "c": "body = b c"},
    ),
    "a hard link to a symbolic link is another name of the link": (
        [[symlink("l", "t"), hardlink("m", "l"), file("t", b"1")]],
        {"l": "t = l m", "m": "t = l m", "t": "1"},
    ),
    "an entry below a hard link to a symbolic link lands where the link leads": (
        [[directory("t"), symlink("l", "t"), hardlink("m", "l"), file("m/x", b"1")]],
        {"l": "t = l m", "m": "t = l m", "t": "directory", "t/x": "1"},
    ),
    "a link in place of a directory removes what is in it, and nothing is written through it": (
        [[file("d/e/x", b"1"), directory("t"), symlink("d/e", "../t")]],
        {"d": "directory", "d/e": "../t", "t": "directory"},
    ),
    "a directory in place of a link leaves what the link led to": (
        [[file("t/x", b"1"), symlink("l", "t")], [directory("l"), file("l/y", b"2")]],
        {"l": "directory", "l/y": "2", "t": "directory", "t/x": "1"},
    ),
    "a directory in place of a file, and then a file in place of it": (
        [[file("a", b"1"), directory("a"), file("a/x"), file("a", b"2")]],
        {"a": "2"},
    ),
    "a whiteout after an entry of its name leaves the entry": (
        [[file("a", b"1")], [file("a", b"2"), whiteout("a")]],
        {"a": "2"},
    ),
    "a whiteout after entries below its name leaves them, without what was there": (
        [[directory("d", mode=0o700), file("d/old")], [file("d/new", b"1"), whiteout("d")]],
        {"d": "directory", "d/new": "1"},
    ),
    "an opaque marker hides lower children alone, wherever it stands": (
        [[D, file("d/old"), file("d/e/f")], [file("d/a", b"1"), opaque("d"), file("d/z", b"2")]],
        {"d": "directory", "d/a": "1", "d/z": "2"},
    ),
    "an opaque marker of a lower layer hides nothing of a higher one": (
        [[file("d/old")], [opaque("d")], [file("d/new", b"1")]],
        {"d": "directory", "d/new": "1"},
    ),
    "a link to what its own layer removes is refused, one to what it replaces is not": (
        [[file("a", b"1")], [file("a", b"2"), whiteout("a"), hardlink("b", "a")]],
        {"a": "2 = a b", "b": "2 = a b"},
    ),
    "markers of aufs remove nothing, and nothing is below them": (
        [
            [file("a", b"1"), file(".wh.plnk", b""), file("plnk", b"2")],
            [file(".wh..wh.aufs", b""), directory(".wh..wh.plnk"), directory(".wh..wh.orph"),
             file(".wh..wh.orph/x", b"3"), file("d/.wh..wh.plnk", b"")],
        ],
        {"a": "1", "plnk": "2"},
    ),
    "hard links of aufs lead to files that it keeps below a marker": (
        [[directory(".wh..wh.plnk"), file(".wh..wh.plnk/7.1", b"body"),
          hardlink("a", ".wh..wh.plnk/7.1"), hardlink("b", ".wh..wh.plnk/7.1")]],
        {"a": "body = a b", "b": "body = a b"},
    ),
    "a name that is reserved for whiteouts has nothing in it": (
        [[file("a", b"1"), file(".wh.d/x", b"2")]],
        {"a": "1"},
    ),
    "what a whiteout removes through a link is what the link leads to": (
        [[file("t/x"), file("t/y", b"1"), symlink("l", "t")], [whiteout("l/x")]],
        {"l": "t", "t": "directory", "t/y": "1"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_rule(rule: str, tmp_path: Path) -> None:
    layers, expected = RULES[rule]
    assert shape(layers, tmp_path) == expected


def test_markers_of_aufs_are_no_problem_and_other_whiteouts_of_nothing_are() -> None:
    found = history(layer(file(".wh..wh.plnk/7.1"), file(".wh..wh.aufs", b""), whiteout("a")))
    assert found.problems == [".wh.a removes a path that does not exist"]
    assert not found.error


@pytest.mark.parametrize(
    ("layers", "match"),
    [
        ([[hardlink("b", "a"), file("a")]], "has no target"),
        ([[file("a")], [whiteout("a"), hardlink("b", "a")]], "has no target"),
        ([[directory("d"), hardlink("b", "d")]], "has no target"),
        ([[file("a"), hardlink("a", "a")]], "has no target"),
        ([[file("t/a"), symlink("d", "t"), hardlink("d", "d/a")]], "has no target"),
        ([[file("d/x"), hardlink("d", "d/x")]], "has no target"),
        ([[file("f"), file("f/x")]], "is not a directory"),
        ([[symlink("a", "b"), symlink("b", "a"), file("a/x")]], "form a loop"),
        ([[symlink("a", "a")], [whiteout("a/x")]], "form a loop"),
        ([[symlink("./", "a")]], "the root is a symlink"),
    ],
)
def test_what_engines_refuse_is_refused(layers: Layers, match: str, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match=match):
        final(layers, tmp_path)


def test_special_files_keep_setuid_setgid_and_sticky(tmp_path: Path) -> None:
    kinds = {"p": tarfile.FIFOTYPE, "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE}
    one = [
        member(f"{name}{mode:o}", kind, mode=mode, devmajor=1, devminor=3)
        for name, kind in kinds.items()
        for mode in (0o4711, 0o2711, 0o1711, 0o7777)
    ]
    found = final([one], tmp_path)
    assert {path: facts[1] for path, facts in found.items()} == {
        info.name: f"{info.mode:04o}" for info, _ in one
    }


def test_a_directory_that_is_made_inherits_setgid_and_group_as_linux_has_it(
    tmp_path: Path,
) -> None:
    found = final([[directory("d", mode=0o2750, uid=3, gid=9)], [file("d/e/f/x")]], tmp_path)
    assert [(path, facts[1:4]) for path, facts in found.items()] == [
        ("d", ("2750", 3, 9)), ("d/e", ("2755", 0, 9)), ("d/e/f", ("2755", 0, 9)),
        ("d/e/f/x", ("0644", 0, 0)),
    ]  # fmt: skip


def test_an_archive_that_is_a_whole_filesystem_has_no_whiteouts(tmp_path: Path) -> None:
    import io

    data = tar(file("a", b"1"), file(".wh.a", b""), file("d/.wh..wh..opq", b""), file("d/x"))
    tree = read_tree(
        io.BytesIO(data), Store(tmp_path), Source(kind="inline", name="x"), CancelToken()
    )
    assert set(tree) == {b"a", b".wh.a", b"d", b"d/.wh..wh..opq", b"d/x"}
    entries = history(layer(file(".wh.a", b""), codec="none")).listings[0].entries
    assert set(unpack(entries).final) == {b".wh.a"}


def test_bytes_of_a_file_of_several_names_are_wasted_once_and_when_its_last_name_goes() -> None:
    base = layer(file("a", b"12345"), hardlink("b", "a"), file("a", b"1"), hardlink("c", "a"))
    found = history(base, layer(whiteout("b")), layer(whiteout("a")), layer(whiteout("c")))
    assert [(number, change.path, change.wasted) for number, change in found.wasted()] == [
        (1, b"b", 5), (3, b"c", 1),
    ]  # fmt: skip


def test_bytes_behind_a_link_of_aufs_are_wasted_when_the_link_goes() -> None:
    base = layer(file(".wh..wh.plnk/7.1", b"body"), hardlink("a", ".wh..wh.plnk/7.1"))
    assert [change.wasted for _, change in history(base, layer(whiteout("a"))).wasted()] == [4]


# -- laws

_NAME = st.sampled_from(NAMES)
_ENTRY = st.one_of(
    st.builds(file, _NAME, st.binary(max_size=3)),
    st.builds(directory, _NAME),
    st.builds(symlink, _NAME, st.sampled_from(TARGETS)),
    st.builds(hardlink, _NAME, _NAME),
)
_WHITEOUT = st.one_of(st.builds(whiteout, _NAME), st.sampled_from(("d", "d/e", "l")).map(opaque))
_LAYER = st.lists(st.one_of(_ENTRY, _WHITEOUT), max_size=7)


def facts(found: History) -> dict[bytes, tuple[object, ...]]:
    """What is left, and the contents behind it."""
    return {
        path: (one.entry.kind, one.entry.mode, one.entry.target,
               file.entry.sha256 if (file := found.file_at(path)) else b"")
        for path, one in found.final.items()
    }  # fmt: skip


def stacked(*layers: list[Member]) -> History:
    return history(*(layer(*members, codec="none") for members in layers))


@given(st.lists(st.lists(_ENTRY, max_size=7), min_size=1, max_size=3))
def test_layers_without_whiteouts_are_one_layer_of_all_their_entries(layers: Layers) -> None:
    """Stacking is associative: entries count in their order, wherever layers begin."""
    joined = [one for members in layers for one in members]
    assert facts(stacked(*layers)) == facts(stacked(joined))


@given(lower=_LAYER, upper=_LAYER)
def test_where_whiteouts_stand_in_their_layer_means_nothing(
    lower: list[Member], upper: list[Member]
) -> None:
    """ "Whiteout files MUST only apply to resources in lower/parent layers.\""""
    first = sorted(upper, key=lambda one: "/.wh." not in f"/{one[0].name}")
    last = sorted(upper, key=lambda one: "/.wh." in f"/{one[0].name}")
    assert facts(stacked(lower, first)) == facts(stacked(lower, upper))
    assert facts(stacked(lower, last)) == facts(stacked(lower, upper))


@given(lower=_LAYER, name=_NAME)
def test_a_whiteout_removes_its_path_and_everything_below(lower: list[Member], name: str) -> None:
    before, after = stacked(lower), stacked(lower, [whiteout(name)])
    folder, _, last = name.rpartition("/")
    gone = before.followed(folder.encode())[0] + b"/" if folder else b""
    gone += last.encode()
    assert facts(after).keys() == {
        path for path in before.final if path != gone and not path.startswith(gone + b"/")
    }


@given(lower=_LAYER)
def test_an_empty_layer_changes_nothing(lower: list[Member]) -> None:
    found = stacked(lower, [])
    assert facts(found) == facts(stacked(lower))
    assert found.changes[1] == []


@given(layers=st.lists(_LAYER, max_size=3))
def test_the_changes_of_all_layers_add_up_to_what_is_left(layers: Layers) -> None:
    """Every parent is a directory that is there, and what is left is what the changes say."""
    found = stacked(*layers)
    left: dict[bytes, object] = {}
    for changes in found.changes:
        for change in changes:
            if change.now is None:
                left.pop(change.path, None)
            else:
                left[change.path] = change.now
    assert left == {path: one.entry for path, one in found.final.items()}
    for path in found.final:
        above = path.rpartition(b"/")[0]
        assert not above or found.final[above].entry.kind == "directory"
