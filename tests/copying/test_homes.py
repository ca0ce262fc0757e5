"""A Tree as a home of the COPY engine: it answers as a kernel would, and freezes to nodes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from builders.tree_filesystem import TreeFilesystem, in_store
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.copying.command import Flags, copy
from homeport.copying.metadata import NO_METADATA, Bytes, Metadata
from homeport.copying.rooted import Rooted
from homeport.copying.sources import CopySource
from homeport.tree.node import Node, Source, Tree

HERE = Source(kind="inline", name="test")


def builder(**options: object) -> TreeFilesystem:
    return TreeFilesystem(HERE, **options)  # type: ignore[arg-type]


def test_what_is_created_is_frozen_with_its_metadata_and_source() -> None:
    built = builder(time=5)
    top = built.root()
    below = top.create_directory(b"d", Metadata(0o700, 1, 2, 9))
    below.create_file(b"f", Bytes(b"abc"), Metadata(0o4755, 3, 4, 7, xattrs={b"user.k": b"v"}))
    below.create_symlink(b"l", b"../x", NO_METADATA)
    below.create_special(b"c", "char", (1, 3), Metadata(0o666))
    tree = built.freeze()
    assert list(tree) == [b"d", b"d/c", b"d/f", b"d/l"]
    file = tree[b"d/f"]
    assert (file.mode, file.uid, file.gid, file.mtime) == (0o4755, 3, 4, 7)
    assert (file.xattrs, file.source) == ({b"user.k": b"v"}, HERE)
    assert file.content is not None
    assert file.content.open().read() == b"abc"
    assert (tree[b"d/l"].target, tree[b"d/l"].mtime) == (b"../x", 5)
    assert tree[b"d/c"].device == (1, 3)


def test_of_several_names_the_first_in_order_has_the_content() -> None:
    built = builder()
    top = built.root()
    top.create_file(b"z", Bytes(b"x"), NO_METADATA)
    top.create_hardlink(b"a", top, b"z")
    tree = built.freeze()
    assert (tree[b"a"].type, tree[b"z"].type, tree[b"z"].target) == ("file", "hardlink", b"a")


def test_a_tree_goes_in_and_comes_out_the_same() -> None:
    tree = Tree()
    tree[b"d"] = Node(type="directory", mode=0o711, source=HERE)
    tree[b"d/a"] = Node(type="file", mode=0o644, content=BytesBlob(b"x"), source=HERE)
    tree[b"d/b"] = Node(type="hardlink", mode=0o644, target=b"d/a", source=HERE)
    assert dict(builder(tree=tree).freeze()) == dict(tree)


def test_a_parent_that_a_tree_leaves_out_is_implied() -> None:
    tree = Tree({b"x/y": Node(type="file", mode=0o600, source=HERE)})
    assert builder(tree=tree).freeze()[b"x"].mode == 0o755


@pytest.mark.parametrize(
    ("number", "action"),
    [
        (errno.EEXIST, lambda top: top.create_file(b"f", Bytes(b""), NO_METADATA)),
        (errno.EEXIST, lambda top: top.create_directory(b"l", NO_METADATA)),
        (errno.ENOENT, lambda top: top.open_file(b"none")),
        (errno.ENOENT, lambda top: top.remove(b"none")),
        (errno.ENOTDIR, lambda top: top.open_directory(b"f")),
        (errno.ENOTDIR, lambda top: top.open_directory(b"l")),
        (errno.ELOOP, lambda top: top.open_file(b"l")),
        (errno.EINVAL, lambda top: top.open_file(b"d")),
        (errno.EINVAL, lambda top: top.readlink(b"f")),
        (errno.EPERM, lambda top: top.create_hardlink(b"x", top, b"d")),
        (errno.ENAMETOOLONG, lambda top: top.stat(b"n" * 256)),
        (errno.ESTALE, lambda top: top.open_directory(b"d").open_parent(0)),
    ],
)
@pytest.mark.parametrize("home", ["tree", "real"])
def test_both_homes_refuse_with_the_same_number(
    home: str, number: int, action: object, tmp_path: Path
) -> None:
    made = builder() if home == "tree" else Rooted(bytes(tmp_path))
    top = made.root()
    top.create_file(b"f", Bytes(b"x"), NO_METADATA)
    top.create_directory(b"d", NO_METADATA).close()
    top.create_symlink(b"l", b"d", NO_METADATA)
    with pytest.raises(OSError) as caught:
        action(top)  # type: ignore[operator]
    top.close()
    assert caught.value.errno == number


def test_a_file_of_a_builder_is_referred_to_not_read_again() -> None:
    source = builder()
    source.root().create_file(b"f", Bytes(b"x"), NO_METADATA)
    target = builder(keep=lambda content: pytest.fail("was read"))
    copy([CopySource(source, b"f")], target, b"/g", Flags())
    assert target.freeze()[b"g"].content is source.freeze()[b"f"].content


def test_a_real_directory_is_copied_into_a_tree_through_the_store(tmp_path: Path) -> None:
    (tmp_path / "src" / "d").mkdir(parents=True)
    (tmp_path / "src" / "d" / "f").write_text("content")
    os.link(tmp_path / "src" / "d" / "f", tmp_path / "src" / "d" / "g")
    home = Rooted(bytes(tmp_path / "src"))
    target = builder(keep=in_store(Store(tmp_path / "store")))
    copy([CopySource(home, b"d")], target, b"/opt/", Flags(chown=b"0:0", chmod="a=rX", time=3))
    home.close()
    tree = target.freeze()
    assert list(tree) == [b"opt", b"opt/f", b"opt/g"]
    assert (tree[b"opt/f"].mode, tree[b"opt/f"].mtime, tree[b"opt/g"].type) == (
        0o444, 3, "hardlink",
    )  # fmt: skip
    content = tree[b"opt/f"].content
    assert content is not None
    with content.open() as stream:
        assert stream.read() == b"content"
